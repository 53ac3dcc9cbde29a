// Short messages over the picture. Errors stay until dismissed, the others go by themselves.

import { icon, make } from './dom.js';

/** @typedef {'info' | 'warning' | 'error'} Level */

const LIFE_MS = 7000;
const LIFE_WITH_LINK_MS = 20_000;
const MOST = 3;

export class Notices {
  /** @param {HTMLElement} place  a live region */
  constructor(place) {
    this.place = place;
  }

  /**
   * @param {Level} level
   * @param {string} text
   * @param {Node} [more]  e.g. a link; such a notice stays longer
   */
  show(level, text, more) {
    for (const old of this.place.children) {
      if (old instanceof HTMLElement && old.dataset['text'] === text) old.remove();
    }
    const close = make(
      'button',
      { type: 'button', class: 'icon-button small', 'aria-label': 'Dismiss' },
      icon('close'),
    );
    const notice = make('div', { class: `notice ${level}`, 'data-text': text }, make('span', {}, text));
    if (more) notice.append(more);
    notice.append(close);
    close.addEventListener('click', () => notice.remove());
    this.place.append(notice);
    while (this.place.children.length > MOST) this.place.firstElementChild?.remove();
    if (level !== 'error') this.#expire(notice, more ? LIFE_WITH_LINK_MS : LIFE_MS);
  }

  /** @param {import('./failures.js').Failure} failure */
  fail(failure) {
    this.show('error', String(failure));
  }

  /**
   * @param {HTMLElement} notice
   * @param {number} lifeMs
   */
  #expire(notice, lifeMs) {
    // Reading takes as long as it takes: no notice goes while the pointer or the focus rests on it.
    const timer = setInterval(() => {
      if (notice.matches(':hover, :focus-within')) return;
      clearInterval(timer);
      notice.remove();
    }, lifeMs);
  }
}
