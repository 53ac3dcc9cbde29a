// The timing section: plot, legend with values, and the plain numbers.

import { make, part, say } from './dom.js';
import { History } from './history.js';
import { Plot, stageColour } from './plot.js';

/** @typedef {import('./control.js').Snapshot} Snapshot */
/** @typedef {import('./history.js').Sample} Sample */
/** @typedef {import('./whep.js').Seen} Seen */

/** @param {number} ms */
const milliseconds = (ms) => (ms < 9.95 ? ms.toFixed(1) : String(Math.round(ms)));

/** How often the figures change: more often than this nobody reads. */
const READ_MS = 500;

export class Timing {
  #history = new History();
  #legend = part('legend', HTMLUListElement);
  #canvas = part('plot', HTMLCanvasElement);
  #when = part('plot-when', HTMLElement);
  /** @type {Map<string, HTMLElement>} */
  #values = new Map();
  #readAt = 0;

  constructor() {
    this.plot = new Plot(this.#canvas, this.#history, (sample) => this.#explain(sample));
  }

  /** @param {Snapshot} snapshot */
  add(snapshot) {
    const now = performance.now();
    this.#history.add(snapshot, now);
    if (snapshot.budget_ms) this.plot.budgetMs = snapshot.budget_ms;
    this.#layLegend();
    this.plot.redraw();
    if (now - this.#readAt < READ_MS) return;
    this.#readAt = now;
    this.#write(snapshot);
  }

  /** @param {Seen | null} seen  null: nothing is being watched */
  seen(seen) {
    if (!seen) {
      say(part('n-seen', HTMLElement), 'no picture');
      return;
    }
    const buffer = ` · buffer ${milliseconds(seen.bufferMs)} ms`;
    const freezes = seen.freezes ? ` · ${seen.freezes} ${seen.freezes === 1 ? 'freeze' : 'freezes'}` : '';
    const line = part('n-seen', HTMLElement);
    line.title = seen.roundTripMs === null ? '' : `Round trip to the engine: ${milliseconds(seen.roundTripMs)} ms`;
    say(line, `${Math.round(seen.fps)} fps ${seen.codec} ${seen.width}×${seen.height}${buffer}${freezes}`);
  }

  /** @param {Snapshot} snapshot */
  #write(snapshot) {
    const total = snapshot.latency_ms['packet'] ?? snapshot.latency_ms['total'];
    const dropped = Object.entries(snapshot.dropped).filter(([, n]) => n > 0);
    const lost = dropped.reduce((sum, [, n]) => sum + n, 0);
    say(part('n-fps', HTMLElement), snapshot.fps.toFixed(1));
    say(part('n-p50', HTMLElement), total ? milliseconds(total.p50) : '–');
    say(part('n-p95', HTMLElement), total ? milliseconds(total.p95) : '–');
    say(part('n-late', HTMLElement), String(snapshot.late));
    const droppedPart = part('n-dropped', HTMLElement);
    say(droppedPart, String(lost));
    droppedPart.title = dropped.map(([stage, n]) => `${stage} ${n}`).join(', ');
    say(part('n-level', HTMLElement), String(snapshot.level));
    say(part('n-viewers', HTMLElement), String(snapshot.viewers));
    say(part('n-faces', HTMLElement), String(snapshot.faces));
    part('n-p95', HTMLElement).classList.toggle(
      'exceeded',
      this.plot.budgetMs !== null && !!total && total.p95 > this.plot.budgetMs,
    );
    const now = total ? `${milliseconds(total.p50)} ms at the median, ` : '';
    this.#canvas.setAttribute(
      'aria-label',
      `Latency per stage over the last minute. Now ${now}${snapshot.fps.toFixed(0)} frames per second.`,
    );
  }

  #layLegend() {
    const names = [...this.#history.stages, 'waiting'];
    if (names.length === this.#values.size && names.every((name) => this.#values.has(name))) return;
    this.#values.clear();
    this.#legend.replaceChildren(
      ...names.map((name) => {
        const swatch = make('span', { class: 'swatch' });
        swatch.style.background = stageColour(name);
        const value = make('span', { class: 'legend-value' });
        this.#values.set(name, value);
        return make('li', {}, swatch, make('span', {}, name), value);
      }),
    );
  }

  /** @param {Sample | null} pointed */
  #explain(pointed) {
    const sample = pointed ?? this.#history.samples.at(-1);
    if (!sample) return;
    for (const [name, element] of this.#values) {
      say(element, milliseconds(name === 'waiting' ? sample.waiting : (sample.stages[name] ?? 0)));
    }
    const ago = Math.round((performance.now() - sample.atMs) / 1000);
    say(
      this.#when,
      pointed
        ? `${ago} s ago: ${milliseconds(sample.p50)} ms, p95 ${milliseconds(sample.p95)}, ${sample.fps.toFixed(1)} fps`
        : 'median of each stage, ms',
    );
  }
}
