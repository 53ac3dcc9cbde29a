// The picture, and what is said over it: state, pause, connecting, failure.

import { keepToken } from './address.js';
import { Composer } from './composer.js';
import { part, say } from './dom.js';

/** @typedef {import('./keeper.js').Link} Link */
/** @typedef {import('./state.js').Shown} Shown */

export class Stage {
  /** @type {number | undefined} */
  #countdown;
  #againHadFocus = false;

  #frame = part('frame', HTMLElement);
  #cover = part('cover', HTMLElement);
  #coverTitle = part('cover-title', HTMLElement);
  #coverWhy = part('cover-why', HTMLElement);
  #coverMend = part('cover-mend', HTMLElement);
  #coverWhen = part('cover-when', HTMLElement);
  #again = part('cover-again', HTMLButtonElement);
  #token = part('token-form', HTMLFormElement);
  #play = part('play', HTMLButtonElement);
  #tallyTitle = part('tally-title', HTMLElement);
  #tallyDetail = part('tally-detail', HTMLElement);
  #announcer = part('announcer', HTMLElement);
  #banner = part('paused', HTMLElement);
  #sound = part('sound', HTMLButtonElement);
  #soundLabel = part('sound-label', HTMLElement);

  video = part('picture', HTMLVideoElement);
  composer = new Composer(this.video, part('composed', HTMLCanvasElement), ({ width, height }, transparent) => {
    document.documentElement.style.setProperty('--aspect', String(width / height));
    this.#frame.toggleAttribute('data-transparent', transparent);
  });

  /** @param {() => void} retry */
  constructor(retry) {
    this.#again.addEventListener('click', retry);
    this.#token.addEventListener('submit', (event) => {
      event.preventDefault();
      keepToken(part('token', HTMLInputElement).value.trim());
      retry();
    });
    this.#play.addEventListener('click', () => void this.play());
    this.#sound.addEventListener('click', () => this.toggleSound());
    part('fullscreen', HTMLButtonElement).addEventListener('click', () => this.toggleFullscreen());
  }

  async play() {
    try {
      await this.video.play();
      this.#play.hidden = true;
    } catch {
      this.#play.hidden = false;
    }
  }

  toggleSound() {
    this.video.muted = !this.video.muted;
    const on = !this.video.muted;
    this.#sound.setAttribute('aria-pressed', String(on));
    say(this.#soundLabel, on ? 'Sound on' : 'Unmute');
    this.#sound.querySelector('use')?.setAttribute('href', on ? '#i-sound' : '#i-sound-off');
  }

  toggleFullscreen() {
    // Refused only where the browser has no full screen; then nothing happens.
    if (document.fullscreenElement) void document.exitFullscreen();
    else this.#frame.requestFullscreen?.().catch(() => {});
  }

  /**
   * The connection of the picture: cover it while there is none, and say why.
   *
   * @param {Link} link
   */
  showLink(link) {
    clearInterval(this.#countdown);
    this.#cover.hidden = link.phase === 'open';
    if (link.phase === 'open') {
      this.#againHadFocus = false;
      void this.play();
      return;
    }
    const failure = link.phase === 'failed' || link.phase === 'connecting' ? link.failure : null;
    this.#cover.classList.toggle('failed', failure !== null);
    this.#cover.dataset['kind'] = failure?.kind ?? '';
    say(this.#coverTitle, failure?.title ?? 'Connecting…');
    say(this.#coverWhy, failure?.why ?? '');
    say(this.#coverMend, failure?.mend ?? '');
    this.#again.hidden = failure === null;
    this.#offerAgain(link.phase === 'failed');
    this.#token.hidden = failure?.kind !== 'token';
    if (link.phase === 'failed' && link.retryMs !== null) this.#countDown(link.retryMs);
    else say(this.#coverWhen, failure && link.phase === 'connecting' ? 'Trying again…' : '');
  }

  /**
   * While it tries there is nothing to press; whoever had pressed the button finds it again in the same place.
   *
   * @param {boolean} offered
   */
  #offerAgain(offered) {
    const { activeElement: focused, body } = document;
    if (focused !== body) this.#againHadFocus = focused === this.#again;
    this.#cover.toggleAttribute('data-trying', !offered);
    if (offered && focused === body && this.#againHadFocus) this.#again.focus();
  }

  /** @param {number} forMs */
  #countDown(forMs) {
    const until = performance.now() + forMs;
    const tick = () => {
      const seconds = Math.ceil((until - performance.now()) / 1000);
      say(this.#coverWhen, seconds > 0 ? `Trying again in ${seconds} s` : 'Trying again…');
    };
    tick();
    this.#countdown = setInterval(tick, 250);
  }

  /** @param {Shown} shown */
  showState({ name, title, detail }) {
    document.documentElement.dataset['state'] = name;
    say(this.#tallyTitle, title);
    say(this.#tallyDetail, detail);
    say(this.#announcer, `${title}${detail ? `: ${detail}` : ''}`);
    this.#banner.hidden = name !== 'paused';
    document.title = name === 'paused' ? '❚❚ Paused · mien' : name === 'failed' ? 'No picture · mien' : 'mien';
  }
}
