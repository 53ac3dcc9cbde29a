// The last minute of the engine's figures, as the plot shows them.

/** @typedef {import('./control.js').Snapshot} Snapshot */

/**
 * @typedef {object} Sample
 * @property {number} atMs  page time
 * @property {Record<string, number>} stages  median ms of every stage but the total
 * @property {number} waiting  ms that no stage accounts for: the frame stood in a queue
 * @property {number} p50  of the total
 * @property {number} p95
 * @property {number} fps
 */

export const SPAN_MS = 60_000;

export class History {
  /** @type {Sample[]} */
  samples = [];
  /** Stage names in the order of a frame's way. @type {string[]} */
  stages = [];

  /**
   * @param {Snapshot} snapshot
   * @param {number} atMs
   */
  add(snapshot, atMs) {
    const { total, ...stages } = snapshot.latency_ms;
    const medians = Object.fromEntries(Object.entries(stages).map(([name, { p50 }]) => [name, p50]));
    const sum = Object.values(medians).reduce((a, b) => a + b, 0);
    this.stages = Object.keys(medians);
    this.samples.push({
      atMs,
      stages: medians,
      waiting: Math.max(0, (total?.p50 ?? sum) - sum),
      p50: total?.p50 ?? sum,
      p95: total?.p95 ?? sum,
      fps: snapshot.fps,
    });
    while ((this.samples[0]?.atMs ?? atMs) < atMs - SPAN_MS - 1000) this.samples.shift();
  }

  /**
   * The sample nearest to a time, or null when there is none within a second.
   *
   * @param {number} atMs
   */
  near(atMs) {
    /** @type {Sample | null} */
    let best = null;
    for (const sample of this.samples) {
      if (!best || Math.abs(sample.atMs - atMs) < Math.abs(best.atMs - atMs)) best = sample;
    }
    return best && Math.abs(best.atMs - atMs) <= 1000 ? best : null;
  }
}

/**
 * The next round number at or above a value: 1, 2, 5 times a power of ten, and 1.5, 3, 8 between.
 *
 * @param {number} value  > 0
 */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return (([1, 1.5, 2, 3, 5, 8, 10].find((step) => step * power >= value - 1e-9)) ?? 10) * power;
}
