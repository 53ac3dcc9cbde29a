// My voice alone moves the mouth: microphone on and off, mute, and how loud it is.

import { whipPath } from './address.js';
import { icon, make, part, say } from './dom.js';
import { asFailure } from './failures.js';
import { LevelMeter } from './voicelevel.js';
import { VoiceLink, openMicrophone } from './voicelink.js';

/** @typedef {import('./notices.js').Notices} Notices */
/** @typedef {import('./keeper.js').Link} Link */

const OFF = 'Sound alone: the mouth follows what you say. Your camera may stay off.';

export class Voice {
  /** @type {MediaStreamTrack | null} */
  #track = null;
  #opening = false;
  #muted = false;
  #complained = '';
  /** @type {Link['phase']} */
  #phase = 'closed';

  #label = make('span', {}, 'Use my voice');
  #button = make('button', { type: 'button', class: 'secondary', id: 'voice-on', 'aria-pressed': 'false' });
  #mute = make('button', { type: 'button', class: 'secondary', id: 'voice-mute', hidden: true });
  #muteLabel = make('span', {}, 'Mute');
  #needle = make('i');
  #meter = make('div', { class: 'level', id: 'voice-level', role: 'meter', 'aria-label': 'Loudness', hidden: true });
  #text = make('p', { class: 'hint', id: 'voice-text', 'aria-live': 'polite' }, OFF);
  #picker = part('microphone-picker', HTMLSelectElement);

  /**
   * @param {Notices} notices
   * @param {HTMLElement} place
   */
  constructor(notices, place) {
    this.notices = notices;
    this.link = new VoiceLink(whipPath, (link) => this.#showLink(link));
    this.meter = new LevelMeter((level) => this.#showLevel(level));
    this.#button.append(icon('mic'), this.#label);
    this.#mute.append(icon('mic-off'), this.#muteLabel);
    this.#meter.append(this.#needle);
    this.#meter.setAttribute('aria-valuemin', '0');
    this.#meter.setAttribute('aria-valuemax', '100');
    place.append(make('div', { class: 'buttons' }, this.#button, this.#mute), this.#meter, this.#text);
    this.#button.addEventListener('click', () => void this.toggle());
    this.#mute.addEventListener('click', () => this.#toggleMute());
    this.#picker.addEventListener('change', () => void this.#change());
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
      this.#take(await openMicrophone(this.#picker.value));
      this.#complained = '';
      if (this.#track) this.link.start(this.#track);
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
    say(this.#text, OFF);
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
    this.#needle.style.clipPath = `inset(0 ${(100 - 100 * level).toFixed(1)}% 0 0)`;
    this.#meter.setAttribute('aria-valuenow', String(Math.round(10 * level) * 10));
  }

  #tell() {
    if (this.#muted) say(this.#text, 'Muted: nothing you say goes out.');
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
