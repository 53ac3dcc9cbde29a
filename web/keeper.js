// Keeps a connection up: tries, waits a little longer after each failure, tries again.

import { asFailure } from './failures.js';

/** @typedef {import('./failures.js').Failure} Failure */

/**
 * @typedef {{phase: 'connecting', failure: Failure | null}
 *   | {phase: 'open'}
 *   | {phase: 'failed', failure: Failure, retryMs: number | null}
 *   | {phase: 'closed'}} Link
 *
 * `connecting` carries the failure that came before, so that a view can go on showing it. `retryMs` is
 * null when only a person can mend it.
 */

/**
 * One life of the connection: calls `opened` once it is up, throws when it ends.
 *
 * @callback Attempt
 * @param {AbortSignal} signal  aborted when the connection is no longer wanted
 * @param {() => void} opened
 * @returns {Promise<void>}
 */

const FIRST_MS = 400;
const LONGEST_MS = 5000;

/**
 * How long to wait after `failures` failures in a row: 0.4, 0.8, 1.6, 3.2, then 5 s.
 *
 * @param {number} failures
 */
export function backoffMs(failures) {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, failures - 1));
}

export class Keeper {
  /** @type {AbortController | null} */
  #wanted = null;
  #failures = 0;
  #poke = () => {};

  /**
   * @param {Attempt} attempt
   * @param {(link: Link) => void} onlink
   */
  constructor(attempt, onlink) {
    this.attempt = attempt;
    this.onlink = onlink;
  }

  get wanted() {
    return this.#wanted !== null;
  }

  start() {
    if (this.#wanted) return;
    this.#wanted = new AbortController();
    this.#failures = 0;
    void this.#keep(this.#wanted.signal);
  }

  stop() {
    if (!this.#wanted) return;
    this.#wanted.abort();
    this.#wanted = null;
    this.#poke();
    this.onlink({ phase: 'closed' });
  }

  /** Try again now instead of when the wait is over. */
  retry() {
    this.#poke();
  }

  /** @param {AbortSignal} signal */
  async #keep(signal) {
    /** @type {Failure | null} */
    let failure = null;
    while (!signal.aborted) {
      this.onlink({ phase: 'connecting', failure });
      try {
        await this.attempt(signal, () => {
          this.#failures = 0;
          if (!signal.aborted) this.onlink({ phase: 'open' });
        });
        failure = null;
      } catch (error) {
        if (signal.aborted) return;
        failure = asFailure(error);
        this.#failures += 1;
        const retryMs = failure.retry ? backoffMs(this.#failures) : null;
        this.onlink({ phase: 'failed', failure, retryMs });
        await this.#wait(retryMs);
      }
    }
  }

  /** @param {number | null} delayMs */
  #wait(delayMs) {
    return new Promise((resolve) => {
      const timer = delayMs === null ? 0 : setTimeout(resolve, delayMs, undefined);
      this.#poke = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
  }
}
