// A slider that grows from its neutral point; double click or Delete brings it back there.

import { make } from './dom.js';

/**
 * @typedef {object} SliderOptions
 * @property {string} name  read out, and the tooltip
 * @property {number} min
 * @property {number} max
 * @property {number} step
 * @property {number} neutral
 * @property {(value: number) => string} format
 * @property {(value: number) => void} onedit
 */

export class Slider {
  /** @param {SliderOptions} options */
  constructor(options) {
    const { name, min, max, step, neutral, onedit } = options;
    this.options = options;
    this.element = make('input', {
      type: 'range',
      min,
      max,
      step,
      'aria-label': name,
      title: name,
      class: 'slider',
    });
    this.element.style.setProperty('--zero', String((neutral - min) / (max - min)));
    this.set(neutral);
    let held = false;
    this.element.addEventListener('pointerdown', () => (held = true));
    for (const end of ['pointerup', 'pointercancel', 'blur'])
      this.element.addEventListener(end, () => (held = false));
    this.element.addEventListener('input', () => {
      // A small notch at neutral, wide enough to be found again by hand; arrow keys must get out of it.
      const raw = this.element.valueAsNumber;
      const value = held && Math.abs(raw - neutral) < (max - min) * 0.012 ? neutral : raw;
      this.#draw(raw);
      onedit(value);
    });
    const reset = () => {
      this.set(neutral);
      onedit(neutral);
    };
    this.element.addEventListener('dblclick', reset);
    this.element.addEventListener('keydown', (event) => {
      if (event.key !== 'Delete' && event.key !== 'Backspace') return;
      event.preventDefault();
      reset();
    });
  }

  /**
   * Show a value that was set elsewhere.
   *
   * @param {number} value
   */
  set(value) {
    if (this.element.valueAsNumber !== value) this.element.valueAsNumber = value;
    this.#draw(value);
  }

  /** @param {number} value */
  #draw(value) {
    const { min, max, neutral, format } = this.options;
    const at = (/** @type {number} */ x) => String((x - min) / (max - min));
    this.element.style.setProperty('--from', at(Math.min(value, neutral)));
    this.element.style.setProperty('--to', at(Math.max(value, neutral)));
    this.element.setAttribute('aria-valuetext', format(value));
    this.element.classList.toggle('moved', Math.abs(value - neutral) > 1e-6);
  }
}

/**
 * A slider with its name in front and its value behind.
 *
 * @param {string} label
 * @param {SliderOptions} options
 * @returns {{element: HTMLElement, set: (value: number) => void}}
 */
export function labelled(label, options) {
  // Hidden from those who hear the slider say it.
  const value = make('output', { class: 'value', 'aria-hidden': 'true' });
  const show = (/** @type {number} */ x) => value.replaceChildren(options.format(x));
  const slider = new Slider({
    ...options,
    onedit: (x) => {
      show(x);
      options.onedit(x);
    },
  });
  show(options.neutral);
  return {
    element: make(
      'div',
      { class: 'row' },
      make('span', { class: 'row-label', 'aria-hidden': 'true' }, label),
      slider.element,
      value,
    ),
    set: (x) => {
      slider.set(x);
      show(x);
    },
  };
}

/**
 * How much of something, with all of it (100 %) as neutral.
 *
 * @param {string} label
 * @param {string} name
 * @param {number} max
 * @param {(value: number) => void} onedit
 */
export function share(label, name, max, onedit) {
  const format = (/** @type {number} */ value) => `${Math.round(value * 100)} %`;
  return labelled(label, { name, min: 0, max, step: 0.05, neutral: 1, format, onedit });
}
