// The expression sliders: 52 names in groups, a search, resets, both sides together.

import { make, part, say } from './dom.js';
import { worn } from './emotionpanel.js';
import { matches, rows } from './expressions.js';
import { Slider } from './sliders.js';

/** @typedef {import('./expressions.js').Row} Row */

/** @param {number} value */
const format = (value) => `${value > 0 ? '+' : ''}${Math.round(value * 100)} %`;

export class FacePanel {
  /** @type {Map<string, Slider>} */
  #sliders = new Map();
  /** @type {{row: Row, element: HTMLElement}[]} */
  #rows = [];
  /** @type {{element: HTMLDetailsElement, count: HTMLElement, names: string[]}[]} */
  #groups = [];
  /** @type {Record<string, number>} */
  #values = {};
  #names = '';

  /** @param {import('./controls.js').ControlState} controls */
  constructor(controls) {
    this.controls = controls;
    this.list = part('expressions', HTMLDivElement);
    this.search = part('expression-search', HTMLInputElement);
    this.linked = part('expression-linked', HTMLInputElement);
    this.resetAll = part('expression-reset', HTMLButtonElement);
    this.none = part('expression-none', HTMLParagraphElement);
    this.search.addEventListener('input', () => this.#filter());
    this.search.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.search.value) return;
      event.preventDefault();
      this.search.value = '';
      this.#filter();
    });
    this.resetAll.addEventListener('click', () => {
      this.#reset([...this.#sliders.keys()]);
      const on = worn(controls.value.emotion);
      if (on.length) controls.edit({ emotion: Object.fromEntries(on.map(([name]) => [name, null])) });
    });
    controls.watch(({ expression, emotion }) => {
      this.#show(expression);
      this.resetAll.disabled = !Object.values(expression).some(Boolean) && worn(emotion).length === 0;
    });
  }

  /**
   * Build the sliders for the names that the engine has; nothing happens when they are there already.
   *
   * @param {string[]} names
   */
  offer(names) {
    if (names.join() === this.#names) return;
    this.#names = names.join();
    this.#sliders.clear();
    this.#rows = [];
    this.#groups = [];
    /** @type {Map<string, Row[]>} */
    const groups = new Map();
    for (const row of rows(names)) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
    this.list.replaceChildren(...[...groups].map(([title, members]) => this.#group(title, members)));
    this.#show(this.#values);
    this.#filter();
  }

  /**
   * @param {string} title
   * @param {Row[]} members
   */
  #group(title, members) {
    const names = members.flatMap((row) => row.names);
    const count = make('span', { class: 'count' });
    const reset = make(
      'button',
      { type: 'button', class: 'quiet small', 'aria-label': `Reset ${title}` },
      'Reset',
    );
    reset.addEventListener('click', () => this.#reset(names));
    const body = make('div', { class: 'group-body' }, ...members.map((row) => this.#row(row)), reset);
    if (members.some((row) => row.names.length === 2)) {
      const sides = [make('span'), make('span', {}, 'its right'), make('span', {}, 'its left')];
      body.prepend(make('div', { class: 'sides', 'aria-hidden': 'true' }, ...sides));
    }
    const element = make('details', {
      class: 'group',
      open: title === 'Brows' || title === 'Eyes' || title === 'Mouth',
    });
    element.append(make('summary', {}, make('span', {}, title), count), body);
    this.#groups.push({ element, count, names });
    return element;
  }

  /** @param {Row} row */
  #row(row) {
    const sides = row.names.length === 2 ? ['right', 'left'] : [''];
    const sliders = row.names.map((name, i) => {
      const slider = new Slider({
        name: `${row.group}: ${row.label}${sides[i] ? `, ${sides[i]}` : ''} (${name})`,
        min: -1,
        max: 1,
        step: 0.02,
        neutral: 0,
        format,
        onedit: (value) => this.#edit(row, name, value),
      });
      this.#sliders.set(name, slider);
      return slider.element;
    });
    const label = make('span', { class: 'row-label', title: row.names.join(', ') }, row.label);
    const element = make('div', { class: sliders.length === 2 ? 'row pair' : 'row single' }, label, ...sliders);
    this.#rows.push({ row, element });
    return element;
  }

  /**
   * @param {Row} row
   * @param {string} name
   * @param {number} value
   */
  #edit(row, name, value) {
    const names = this.linked.checked ? row.names : [name];
    this.controls.edit({ expression: Object.fromEntries(names.map((one) => [one, value])) });
  }

  /** @param {string[]} names */
  #reset(names) {
    const moved = names.filter((name) => this.#values[name]);
    if (moved.length) this.controls.edit({ expression: Object.fromEntries(moved.map((name) => [name, null])) });
  }

  /** @param {Record<string, number>} expression */
  #show(expression) {
    this.#values = expression;
    for (const [name, slider] of this.#sliders) slider.set(expression[name] ?? 0);
    for (const { count, names } of this.#groups) {
      const moved = names.filter((name) => expression[name]).length;
      say(count, moved ? `${moved} moved` : '');
    }
  }

  #filter() {
    const search = this.search.value.trim();
    for (const { row, element } of this.#rows) element.hidden = !matches(row, search);
    let any = false;
    for (const { element } of this.#groups) {
      const hit = [...element.querySelectorAll('.row')].some((row) => row instanceof HTMLElement && !row.hidden);
      element.hidden = !hit;
      if (search && hit) element.open = true;
      any ||= hit;
    }
    this.none.hidden = any || !this.#rows.length;
  }
}
