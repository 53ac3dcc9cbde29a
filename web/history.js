// The last minute of the engine's figures, as the plot shows them.

/** @typedef {import('./control.js').Snapshot} Snapshot */

/**
 * @typedef {object} Sample
 * @property {number} atMs  page time
 * @property {Record<string, number>} stages  median ms of every stage
 * @property {number} waiting  ms that no stage accounts for: the frame stood in a queue
 * @property {number} p50  of the whole way, capture to last packet
 * @property {number} p95
 * @property {number} fps
 */

export const SPAN_MS = 60_000;

/** Not stages but the whole way: until the picture is handed over, and until its last packet is. */
const WHOLE = new Set(['total', 'packet']);

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
    const { latency_ms: latency } = snapshot;
    const whole = latency['packet'] ?? latency['total'];
    const stages = Object.entries(latency).filter(([name]) => !WHOLE.has(name) && !name.startsWith('wait:'));
    const sum = stages.reduce((ms, [, { p50 }]) => ms + p50, 0);
    this.stages = stages.map(([name]) => name);
    this.samples.push({
      atMs,
      stages: Object.fromEntries(stages.map(([name, { p50 }]) => [name, p50])),
      waiting: Math.max(0, (whole?.p50 ?? sum) - sum),
      p50: whole?.p50 ?? sum,
      p95: whole?.p95 ?? sum,
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
 * The next number at or above a value that is round enough for a scale, and so is its half.
 *
 * @param {number} value  > 0
 */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 1.2, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value - 1e-9) ?? 10) * power;
}
