// The session's controls as this page knows them: edits show at once, the engine has the last word.

/**
 * @typedef {object} Controls
 * @property {boolean} paused
 * @property {boolean} mirror
 * @property {'full' | 'face' | 'dubbing'} mode
 * @property {'portrait' | 'driver'} light
 * @property {number} light_strength  of the driver's light, 0 to 1
 * @property {{yaw: number, pitch: number, roll: number}} head  degrees
 * @property {{yaw: number, pitch: number}} gaze  degrees
 * @property {Record<string, number>} expression  ARKit name -> offset, -1 to 1
 * @property {Record<string, number | null>} emotion  name -> how much of it, 0 to 1; null: being taken off
 * @property {number} head_strength  0 to 2
 * @property {number} expression_strength  0 to 2
 * @property {{blinks: number, saccades: number, nods: number, breathing: number}} alive  0 to 2
 * @property {{mode: 'keep' | 'blur' | 'colour' | 'image' | 'transparent', colour: string}} background
 * @property {'square' | '16:9'} aspect  the picture's shape
 */

/** @typedef {{[key: string]: unknown}} Patch */

/** @returns {Controls} */
export function neutral() {
  return {
    paused: false,
    mirror: false,
    mode: 'full',
    light: 'portrait',
    light_strength: 1,
    head: { yaw: 0, pitch: 0, roll: 0 },
    gaze: { yaw: 0, pitch: 0 },
    expression: {},
    emotion: {},
    head_strength: 1,
    expression_strength: 1,
    alive: { blinks: 1, saccades: 1, nods: 1, breathing: 1 },
    background: { mode: 'keep', colour: '#008000' },
    aspect: 'square',
  };
}

/** How long an edit of ours outlives what the engine says: longer than any round trip. */
const OURS_MS = 700;
/** At most one message in this time, however fast a slider moves. */
const PACE_MS = 33;

/**
 * @param {unknown} value
 * @returns {value is Patch}
 */
function isPatch(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * A copy of `base` with what `patch` holds put over it, objects key by key.
 *
 * @param {Patch} base
 * @param {Patch} patch
 * @returns {Patch}
 */
export function merged(base, patch) {
  const out = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    const old = out[key];
    out[key] = isPatch(value) ? merged(isPatch(old) ? old : {}, value) : value;
  }
  return out;
}

export class ControlState {
  /** @type {Set<(controls: Controls) => void>} */
  #listeners = new Set();
  /** @type {Patch} */
  #waiting = {};
  #pace = 0;
  /** @type {{patch: Patch, until: number}[]} */
  #ours = [];
  /** @type {Patch} what the engine said last */
  #told = {};
  /** @type {number | undefined} */
  #settling;

  /** @param {(patch: Patch) => void} send  hands a patch to the engine */
  constructor(send) {
    this.send = send;
    /** @type {Controls} */
    this.value = neutral();
  }

  /**
   * Be told of every change, and of the present value right away.
   *
   * @param {(controls: Controls) => void} listener
   */
  watch(listener) {
    this.#listeners.add(listener);
    listener(this.value);
  }

  /**
   * Change something here and, at the next chance, at the engine.
   *
   * @param {Patch} patch
   */
  edit(patch) {
    this.#ours.push({ patch, until: performance.now() + OURS_MS });
    this.#waiting = merged(this.#waiting, patch);
    this.#show(merged(/** @type {any} */ (this.value), patch));
    if (!this.#pace) this.#flush();
  }

  /**
   * The engine says how things stand. What was edited here a moment ago stays: the echo of an older
   * message must not pull a slider back under the finger.
   *
   * @param {Patch} controls
   */
  receive(controls) {
    this.#told = merged(/** @type {any} */ (neutral()), controls);
    this.#settle();
  }

  /** Show what the engine said last under what was edited here; when that has had its time, by itself. */
  #settle() {
    clearTimeout(this.#settling);
    const now = performance.now();
    this.#ours = this.#ours.filter(({ until }) => until > now);
    this.#show(this.#ours.reduce((value, { patch }) => merged(value, patch), this.#told));
    const last = this.#ours.at(-1);
    if (last) this.#settling = setTimeout(() => this.#settle(), last.until - now);
  }

  /** Forget unsent edits: the connection was lost and the engine's state counts. */
  forget() {
    this.#waiting = {};
    this.#ours = [];
    clearTimeout(this.#settling);
  }

  #flush() {
    if (Object.keys(this.#waiting).length === 0) {
      this.#pace = 0;
      return;
    }
    this.send(this.#waiting);
    this.#waiting = {};
    this.#pace = setTimeout(() => this.#flush(), PACE_MS);
  }

  /** @param {Patch} value */
  #show(value) {
    this.value = /** @type {Controls} */ (/** @type {unknown} */ (value));
    for (const listener of this.#listeners) listener(this.value);
  }
}
