// Named emotions: the basic ones as buttons, the compounds in a list, a slider for each that is on.

import { make, part, say } from './dom.js';
import { labelled } from './sliders.js';

/** Everybody knows these six by name (Ekman); the others are compounds of them and go into the list. */
const BASIC = ['happy', 'sad', 'fearful', 'angry', 'surprised', 'disgusted'];
/** Plain to see, and not yet an act. */
const USUAL = 0.7;

/** @param {string} name */
const titled = (name) => name.charAt(0).toUpperCase() + name.slice(1);

/**
 * The emotions that are on, with their strengths. Between an edit and the engine's echo, null takes one off.
 *
 * @param {Record<string, number | null>} emotion
 * @returns {[string, number][]}
 */
export function worn(emotion) {
  return Object.entries(emotion).flatMap(([name, strength]) => (strength === null ? [] : [[name, strength]]));
}

export class EmotionPanel {
  /** @type {string[]} */
  #names = [];
  /** @type {Map<string, HTMLButtonElement>} */
  #chips = new Map();
  /** @type {Map<string, {element: HTMLElement, set: (value: number) => void}>} */
  #rows = new Map();
  #strength = USUAL;

  #panel = part('emotion', HTMLElement);
  #chipsPlace = part('emotion-chips', HTMLElement);
  #more = part('emotion-more', HTMLSelectElement);
  #mix = part('emotion-mix', HTMLInputElement);
  #strengths = part('emotion-strengths', HTMLElement);
  #hint = part('emotion-hint', HTMLElement);

  /** @param {import('./controls.js').ControlState} controls */
  constructor(controls) {
    this.controls = controls;
    this.#more.addEventListener('change', () => this.#choose(this.#more.value));
    this.#mix.addEventListener('change', () => {
      if (!this.#mix.checked) this.#keepStrongest();
    });
    controls.watch(({ emotion }) => this.#show(worn(emotion)));
  }

  /**
   * Offer the emotions that the engine has; an engine without any has no such panel.
   *
   * @param {string[]} names
   */
  offer(names) {
    if (names.join() === this.#names.join()) return;
    this.#names = names;
    this.#panel.hidden = names.length === 0;
    this.#chips.clear();
    for (const name of BASIC.filter((one) => names.includes(one))) {
      const chip = make('button', { type: 'button', class: 'chip', 'aria-pressed': 'false' }, titled(name));
      chip.addEventListener('click', () => this.#toggle(name));
      this.#chips.set(name, chip);
    }
    this.#chipsPlace.replaceChildren(...this.#chips.values(), this.#more);
    const others = names.filter((name) => !this.#chips.has(name));
    this.#more.hidden = others.length === 0;
    this.#more.replaceChildren(new Option('More…', ''), ...others.map((name) => new Option(titled(name), name)));
    this.#show(this.#worn);
  }

  get #worn() {
    return worn(this.controls.value.emotion);
  }

  /** @param {string} name */
  #toggle(name) {
    if (this.#worn.some(([one]) => one === name)) this.controls.edit({ emotion: { [name]: null } });
    else this.#choose(name);
  }

  /**
   * Put an emotion on, beside the others or in their place; "" takes the compounds off.
   *
   * @param {string} name
   */
  #choose(name) {
    const leaving = this.#worn
      .map(([one]) => one)
      .filter((one) => (name ? !this.#mix.checked : !this.#chips.has(one)));
    /** @type {Record<string, number | null>} */
    const emotion = Object.fromEntries(leaving.map((one) => [one, null]));
    if (name) emotion[name] = this.#strength;
    if (Object.keys(emotion).length) this.controls.edit({ emotion });
  }

  #keepStrongest() {
    const [, ...others] = this.#worn.sort(([, a], [, b]) => b - a);
    if (others.length) {
      this.controls.edit({ emotion: Object.fromEntries(others.map(([name]) => [name, null])) });
    }
  }

  /** @param {[string, number][]} on */
  #show(on) {
    const names = on.map(([name]) => name);
    for (const [name, chip] of this.#chips) chip.setAttribute('aria-pressed', String(names.includes(name)));
    this.#more.value = names.findLast((name) => !this.#chips.has(name)) ?? '';
    this.#more.classList.toggle('chosen', this.#more.value !== '');
    if (on.length > 1) this.#mix.checked = true; // somebody else mixed them
    for (const [name, { element }] of this.#rows) {
      if (names.includes(name)) continue;
      element.remove();
      this.#rows.delete(name);
    }
    for (const [name, strength] of on) this.#row(name).set(strength);
    const sum = on.reduce((total, [, strength]) => total + strength, 0);
    say(this.#hint, on.length > 1 && sum > 1 ? 'More than 100 % together: each gets its share.' : '');
    this.#hint.hidden = !this.#hint.textContent;
  }

  /** @param {string} name */
  #row(name) {
    const there = this.#rows.get(name);
    if (there) return there;
    const row = labelled(titled(name), {
      name: `${titled(name)}: strength`,
      min: 0,
      max: 1,
      step: 0.02,
      neutral: 0,
      format: (value) => `${Math.round(value * 100)} %`,
      onedit: (value) => {
        if (value > 0) this.#strength = value;
        this.controls.edit({ emotion: { [name]: value } });
      },
    });
    this.#rows.set(name, row);
    this.#strengths.append(row.element);
    return row;
  }
}
