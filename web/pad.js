// A pad for two angles at once: drag the point, or move it with the arrow keys.

import { make } from './dom.js';

/**
 * @typedef {object} Axis
 * @property {number} limit  degrees to either side
 * @property {string} positive  where positive values lead, in words
 * @property {string} negative
 */

/**
 * @typedef {object} PadOptions
 * @property {string} name
 * @property {Axis} x  positive: to the right of the picture
 * @property {Axis} y  positive: up
 * @property {(x: number, y: number) => void} onedit
 */

export class Pad {
  #x = 0;
  #y = 0;

  /** @param {PadOptions} options */
  constructor(options) {
    this.options = options;
    this.point = make('div', { class: 'pad-point', role: 'slider', tabindex: 0, 'aria-label': options.name });
    this.point.setAttribute('aria-valuemin', String(-options.x.limit));
    this.point.setAttribute('aria-valuemax', String(options.x.limit));
    this.point.setAttribute('aria-roledescription', 'two-way slider');
    this.element = make('div', { class: 'pad' }, this.point);
    this.element.addEventListener('pointerdown', (event) => this.#grab(event));
    this.element.addEventListener('pointermove', (event) => {
      if (this.element.hasPointerCapture(event.pointerId)) this.#follow(event);
    });
    this.element.addEventListener('dblclick', () => this.#edit(0, 0));
    this.point.addEventListener('keydown', (event) => this.#key(event));
    this.set(0, 0);
  }

  /**
   * Show values that were set elsewhere.
   *
   * @param {number} x
   * @param {number} y
   */
  set(x, y) {
    this.#x = x;
    this.#y = y;
    const { x: across, y: up } = this.options;
    this.point.style.setProperty('--x', `${50 + (50 * x) / across.limit}%`);
    this.point.style.setProperty('--y', `${50 - (50 * y) / up.limit}%`);
    this.point.setAttribute('aria-valuenow', String(Math.round(x)));
    this.point.setAttribute('aria-valuetext', this.text());
    this.element.classList.toggle('moved', Math.hypot(x, y) > 0.05);
  }

  /** Both angles in words, e.g. "12° left, 3° up". */
  text() {
    const { x: across, y: up } = this.options;
    return `${angle(this.#x, across)}, ${angle(this.#y, up)}`;
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    event.preventDefault();
    this.element.setPointerCapture(event.pointerId);
    this.point.focus({ preventScroll: true });
    this.#follow(event);
  }

  /** @param {PointerEvent} event */
  #follow(event) {
    const box = this.element.getBoundingClientRect();
    const { x: across, y: up } = this.options;
    const x = ((event.clientX - box.left) / box.width) * 2 - 1;
    const y = 1 - ((event.clientY - box.top) / box.height) * 2;
    // Near the middle it catches: straight ahead is where people want to return to.
    const caught = Math.hypot(x, y) < 0.06;
    this.#edit(caught ? 0 : x * across.limit, caught ? 0 : y * up.limit);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = event.shiftKey ? 5 : 1;
    /** @type {Record<string, [number, number]>} */
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const move = moves[event.key];
    if (move) this.#edit(this.#x + move[0], this.#y + move[1]);
    else if (event.key === 'Home' || event.key === 'Delete' || event.key === 'Backspace') this.#edit(0, 0);
    else return;
    event.preventDefault();
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #edit(x, y) {
    const { x: across, y: up, onedit } = this.options;
    const within = (/** @type {number} */ value, /** @type {number} */ limit) =>
      Math.round(Math.min(limit, Math.max(-limit, value)) * 10) / 10;
    this.set(within(x, across.limit), within(y, up.limit));
    onedit(this.#x, this.#y);
  }
}

/**
 * @param {number} value
 * @param {Axis} axis
 */
function angle(value, { positive, negative }) {
  const degrees = Math.round(Math.abs(value));
  return degrees === 0 ? '0°' : `${degrees}° ${value > 0 ? positive : negative}`;
}
