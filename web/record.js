// Recording: one button, a running time over the picture, a link when it is done.

import { withToken } from './address.js';
import { make, part, say } from './dom.js';

export class Recorder {
  #on = false;
  #since = 0;
  #takes = 0;
  #button = part('record', HTMLButtonElement);
  #label = part('record-label', HTMLElement);
  #mark = part('recording', HTMLElement);
  #time = part('recording-time', HTMLElement);
  #list = part('takes', HTMLUListElement);

  /**
   * @param {(action: 'record' | 'stop_recording') => boolean} send
   * @param {import('./notices.js').Notices} notices
   */
  constructor(send, notices) {
    this.send = send;
    this.notices = notices;
    this.#button.addEventListener('click', () => this.toggle());
    setInterval(() => this.#tick(), 500);
  }

  toggle() {
    if (!this.send(this.#on ? 'stop_recording' : 'record')) return;
    this.#button.disabled = true; // until the engine says that it did
    setTimeout(() => {
      this.#button.disabled = false;
    }, 3000);
  }

  /**
   * The engine says whether it records.
   *
   * @param {boolean} on
   */
  show(on) {
    if (on && !this.#on) this.#since = performance.now();
    this.#on = on;
    this.#button.disabled = false;
    this.#button.setAttribute('aria-pressed', String(this.#on));
    say(this.#label, this.#on ? 'Stop' : 'Record');
    this.#mark.hidden = !this.#on;
    this.#tick();
  }

  /**
   * The engine says how a recording ended.
   *
   * @param {object} end
   * @param {string} [end.url]  of the finished file
   * @param {string} [end.reason]  why it ended, when nobody stopped it; a notice says so, too
   */
  ended({ url, reason }) {
    if (!url && !reason) return; // stopped without a file: a notice says why
    this.#takes += 1;
    if (url) this.notices.show('info', 'The recording is ready.', this.#link(url));
    const what = url ? this.#link(url) : make('span', { class: 'error' }, `Take ${this.#takes} is lost. ${reason}`);
    this.#list.prepend(make('li', {}, what));
    part('takes-none', HTMLElement).hidden = true;
  }

  /** @param {string} url */
  #link(url) {
    const download = `mien-take-${this.#takes}${/\.\w+$/.exec(url)?.[0] ?? ''}`;
    return make('a', { href: withToken(url), download, class: 'link' }, `Download take ${this.#takes}`);
  }

  #tick() {
    if (!this.#on) return;
    const seconds = Math.floor((performance.now() - this.#since) / 1000);
    say(this.#time, `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`);
  }
}
