// The live plot: what each stage takes, stacked, against the budget; the frame rate beneath.

import { SPAN_MS, roundUp } from './history.js';

/** @typedef {import('./history.js').History} History */
/** @typedef {import('./history.js').Sample} Sample */

const LEFT = 30;
const RIGHT = 8;
const TOP = 8;
const FPS_HEIGHT = 30;
const GAP = 14;
const AXIS = 15;

/** Stages that a session may have, each with its colour in style.css; others share the last. */
const NAMED = ['receive', 'track', 'drive', 'render', 'encode'];

/** @param {string} stage */
export function stageColour(stage) {
  return `var(--stage-${NAMED.includes(stage) ? stage : stage === 'waiting' ? 'waiting' : 'other'})`;
}

export class Plot {
  /** Where the reader points, 0 (a minute ago) to 1 (now); null: nowhere. @type {number | null} */
  #pointed = null;
  #frame = 0;
  #top = 100;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {History} history
   * @param {(sample: Sample | null) => void} onpoint  the sample under the pointer, null: none
   */
  constructor(canvas, history, onpoint) {
    this.canvas = canvas;
    this.history = history;
    this.onpoint = onpoint;
    /** @type {number | null} */
    this.budgetMs = null;
    new ResizeObserver(() => this.redraw()).observe(canvas);
    matchMedia('(prefers-color-scheme: light)').addEventListener('change', () => this.redraw());
    canvas.addEventListener('pointermove', ({ offsetX }) => this.#point((offsetX - LEFT) / this.#width()));
    canvas.addEventListener('pointerleave', () => this.#point(null));
    canvas.addEventListener('blur', () => this.#point(null));
    canvas.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1 / 60, ArrowRight: 1 / 60 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.#point((this.#pointed ?? 1) + step);
    });
  }

  /** Draw at the next chance; many calls in one frame draw once. */
  redraw() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  /** @param {number | null} at */
  #point(at) {
    this.#pointed = at === null ? null : Math.min(1, Math.max(0, at));
    this.redraw();
  }

  /** The top of the scale in ms. A few outliers of p95 run along the upper edge rather than flatten the rest. */
  #scale() {
    const { samples } = this.history;
    const p95 = samples.map((sample) => sample.p95).sort((a, b) => a - b);
    const usual = p95[Math.floor(p95.length * 0.8)] ?? 0;
    return roundUp(1.1 * Math.max(20, this.budgetMs ?? 0, usual, ...samples.map(({ p50 }) => p50)));
  }

  #width() {
    return Math.max(1, this.canvas.clientWidth - LEFT - RIGHT);
  }

  #draw() {
    const { canvas, history } = this;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    const pen = canvas.getContext('2d');
    if (!pen || width === 0 || height === 0) return;
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    pen.font = `11px ${style.fontFamily}`;
    pen.lineWidth = 1;

    const now = performance.now();
    const plotHeight = height - TOP - GAP - FPS_HEIGHT - AXIS;
    const x = (/** @type {number} */ atMs) => LEFT + (1 - (now - atMs) / SPAN_MS) * this.#width();
    this.#top = this.#scale();
    const y = (/** @type {number} */ ms) => TOP + plotHeight * (1 - Math.min(1, ms / this.#top));

    // Scale: three lines are enough to read by.
    pen.textBaseline = 'middle';
    pen.textAlign = 'right';
    for (const part of [0, 0.5, 1]) {
      const ms = this.#top * part;
      pen.strokeStyle = colour('--line');
      pen.beginPath();
      pen.moveTo(LEFT, Math.round(y(ms)) + 0.5);
      pen.lineTo(width - RIGHT, Math.round(y(ms)) + 0.5);
      pen.stroke();
      pen.fillStyle = colour('--ink-3');
      pen.fillText(String(Math.round(ms)), LEFT - 6, y(ms));
    }

    pen.save();
    pen.beginPath();
    pen.rect(LEFT, 0, this.#width(), height);
    pen.clip();
    this.#stack(pen, x, y, colour);
    this.#line(
      pen,
      history.samples.map((sample) => [x(sample.atMs), y(sample.p95)]),
      colour('--ink-2'),
      [2, 2],
    );
    pen.restore();

    if (this.budgetMs !== null) {
      const at = Math.round(y(this.budgetMs)) + 0.5;
      this.#line(
        pen,
        [
          [LEFT, at],
          [width - RIGHT, at],
        ],
        colour('--alarm'),
        [5, 4],
      );
      pen.textAlign = 'left';
      pen.textBaseline = 'bottom';
      pen.lineWidth = 4; // a halo: outliers run along here, and the words are to be read all the same
      pen.strokeStyle = colour('--panel');
      pen.strokeText(`budget ${this.budgetMs} ms`, LEFT + 4, at - 2);
      pen.lineWidth = 1;
      pen.fillStyle = colour('--alarm');
      pen.fillText(`budget ${this.budgetMs} ms`, LEFT + 4, at - 2);
    }

    // Frame rate.
    const base = height - AXIS;
    const most = Math.max(30, ...history.samples.map(({ fps }) => fps));
    const fpsY = (/** @type {number} */ fps) => base - FPS_HEIGHT * (fps / most);
    pen.strokeStyle = colour('--line');
    pen.beginPath();
    pen.moveTo(LEFT, base + 0.5);
    pen.lineTo(width - RIGHT, base + 0.5);
    pen.stroke();
    pen.fillStyle = colour('--ink-3');
    pen.textAlign = 'right';
    pen.textBaseline = 'middle';
    pen.fillText('fps', LEFT - 6, base - FPS_HEIGHT / 2);
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, 0, this.#width(), height);
    pen.clip();
    this.#line(
      pen,
      history.samples.map(({ atMs, fps }) => [x(atMs), fpsY(fps)]),
      colour('--ink'),
      [],
    );
    pen.restore();
    pen.fillStyle = colour('--ink-3');
    pen.textBaseline = 'bottom';
    pen.textAlign = 'left';
    pen.fillText('60 s ago', LEFT, height);
    pen.textAlign = 'right';
    pen.fillText('now', width - RIGHT, height);

    const pointed = this.#pointed;
    const sample = pointed === null ? null : history.near(now - (1 - pointed) * SPAN_MS);
    if (sample) {
      pen.strokeStyle = colour('--ink-2');
      pen.beginPath();
      pen.moveTo(Math.round(x(sample.atMs)) + 0.5, TOP);
      pen.lineTo(Math.round(x(sample.atMs)) + 0.5, base);
      pen.stroke();
    }
    this.onpoint(sample);
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {(atMs: number) => number} x
   * @param {(ms: number) => number} y
   * @param {(name: string) => string} colour
   */
  #stack(pen, x, y, colour) {
    const { samples, stages } = this.history;
    if (samples.length < 2) return;
    const layers = [...stages, 'waiting'];
    const below = samples.map(() => 0);
    for (const layer of layers) {
      const above = samples.map(
        (sample, i) => (below[i] ?? 0) + (layer === 'waiting' ? sample.waiting : (sample.stages[layer] ?? 0)),
      );
      pen.fillStyle = colour(stageColour(layer).slice(4, -1));
      pen.beginPath();
      samples.forEach((sample, i) => pen.lineTo(x(sample.atMs), y(above[i] ?? 0)));
      for (let i = samples.length - 1; i >= 0; i--) pen.lineTo(x(samples[i]?.atMs ?? 0), y(below[i] ?? 0));
      pen.fill();
      above.forEach((value, i) => {
        below[i] = value;
      });
    }
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {number[][]} points
   * @param {string} colour
   * @param {number[]} dashes
   */
  #line(pen, points, colour, dashes) {
    pen.strokeStyle = colour;
    pen.setLineDash(dashes);
    pen.lineWidth = 1.25;
    pen.beginPath();
    for (const [px, py] of points) pen.lineTo(px ?? 0, py ?? 0);
    pen.stroke();
    pen.setLineDash([]);
    pen.lineWidth = 1;
  }
}
