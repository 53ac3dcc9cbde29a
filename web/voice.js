// My voice alone moves the mouth: microphone on and off, mute, and how loud it is.

import { openMicrophone } from './camera.js';
import { part, say } from './dom.js';
import { asFailure } from './failures.js';
import { LevelMeter } from './voicelevel.js';
import { VoiceLink } from './voicelink.js';

/** @typedef {import('./notices.js').Notices} Notices */
/** @typedef {import('./keeper.js').Link} Link */

export class Voice {
  /** @type {MediaStreamTrack | null} */
  #track = null;
  #opening = false;
  #muted = false;
  #paused = false;
  #complained = '';
  /** @type {Link['phase']} */
  #phase = 'closed';

  #button = part('voice-on', HTMLButtonElement);
  #label = part('voice-on-label', HTMLElement);
  #mute = part('voice-mute', HTMLButtonElement);
  #muteLabel = part('voice-mute-label', HTMLElement);
  #meter = part('voice-level', HTMLElement);
  #text = part('voice-text', HTMLElement);
  #picker = part('microphone-picker', HTMLSelectElement);
  #off = this.#text.textContent ?? '';

  /**
   * @param {Notices} notices
   * @param {import('./controls.js').ControlState} controls
   */
  constructor(notices, controls) {
    this.notices = notices;
    this.link = new VoiceLink((link) => this.#showLink(link));
    this.meter = new LevelMeter((level) => this.#showLevel(level));
    this.#button.addEventListener('click', () => void this.toggle());
    this.#mute.addEventListener('click', () => this.#toggleMute());
    this.#picker.addEventListener('change', () => void this.#change());
    controls.watch(({ paused }) => {
      if (paused === this.#paused) return;
      this.#paused = paused;
      if (this.#track) this.#tell();
    });
    addEventListener('pagehide', () => this.stop());
  }

  async toggle() {
    if (this.#opening) return;
    if (this.#track) {
      this.stop();
      return;
    }
    this.#opening = true;
    say(this.#label, 'Asking for the microphone…');
    try {
      const track = await openMicrophone(this.#picker.value);
      this.#take(track);
      this.#complained = '';
      this.link.start(track);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#opening = false;
      this.#show();
    }
  }

  stop() {
    if (!this.#track) return;
    this.link.stop();
    this.meter.stop();
    this.#track.stop();
    this.#track = null;
    this.#muted = false;
    say(this.#text, this.#off);
    this.#show();
  }

  /** @param {MediaStreamTrack} track */
  #take(track) {
    this.#track?.stop();
    this.#track = track;
    track.enabled = !this.#muted;
    track.addEventListener('ended', () => {
      if (this.#track !== track) return;
      this.stop();
      this.notices.show('error', 'The microphone went away. Plug it in again, then press “Use my voice”.');
    });
    this.meter.start(track);
  }

  async #change() {
    if (!this.#track) return;
    try {
      const track = await openMicrophone(this.#picker.value);
      if (!this.#track) {
        track.stop(); // my voice was switched off meanwhile
        return;
      }
      this.#take(track);
      await this.link.swap(track);
    } catch (error) {
      this.#fail(error);
    }
  }

  #toggleMute() {
    this.#muted = !this.#muted;
    if (this.#track) this.#track.enabled = !this.#muted;
    this.#show();
    this.#tell();
  }

  #show() {
    const on = this.#track !== null;
    say(this.#label, on ? 'Stop my voice' : 'Use my voice');
    this.#button.setAttribute('aria-pressed', String(on));
    this.#mute.hidden = !on;
    this.#mute.setAttribute('aria-pressed', String(this.#muted));
    say(this.#muteLabel, this.#muted ? 'Unmute' : 'Mute');
    this.#mute.querySelector('use')?.setAttribute('href', this.#muted ? '#i-mic' : '#i-mic-off');
    this.#meter.hidden = !on;
    this.#meter.toggleAttribute('data-muted', this.#muted);
  }

  /** @param {number} level */
  #showLevel(level) {
    this.#meter.style.setProperty('--level', `${(100 * level).toFixed(1)}%`);
    this.#meter.setAttribute('aria-valuenow', String(Math.round(10 * level) * 10));
  }

  #tell() {
    if (this.#muted) say(this.#text, 'Muted: nothing you say goes out.');
    else if (this.#paused) say(this.#text, 'Paused: nothing you say goes out.');
    else if (this.#phase === 'open') say(this.#text, 'You are heard. The mouth follows what you say.');
    else if (this.#phase === 'connecting') say(this.#text, 'Connecting your microphone…');
  }

  /** @param {Link} link */
  #showLink(link) {
    this.#phase = link.phase;
    this.#meter.dataset['link'] = link.phase;
    if (link.phase === 'connecting' && !this.#complained) this.#tell();
    if (link.phase === 'open') {
      this.#complained = '';
      this.#tell();
    }
    if (link.phase !== 'failed') return;
    say(this.#text, `${link.failure.title}. ${link.retryMs === null ? '' : 'Trying again…'}`.trim());
    if (this.#complained === link.failure.kind) return; // once for each kind
    this.#complained = link.failure.kind;
    this.notices.fail(link.failure);
    if (link.retryMs === null) this.stop();
  }

  /** @param {unknown} error */
  #fail(error) {
    const failure = asFailure(error);
    this.notices.fail(failure);
    say(this.#text, `${failure.title}. ${failure.mend}`);
  }
}
