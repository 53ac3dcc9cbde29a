// Calibrating: how a face looks in one second of rest becomes its neutral expression.

import { part, say } from './dom.js';

/** Time to read the words and to do what they say, before the engine begins to look. */
const READY_MS = 1000;
/** The engine's second, and the way there. */
const REST_MS = 1200;

export class Calibration {
  #running = false;
  #button = part('calibrate', HTMLButtonElement);
  #overlay = part('calibrating', HTMLElement);
  #text = part('calibrating-text', HTMLElement);

  /**
   * @param {object} options
   * @param {() => boolean} options.order  asks the engine; whether that was sent
   * @param {() => string} options.state  the engine's word, '' while unknown
   * @param {import('./notices.js').Notices} options.notices
   */
  constructor({ order, state, notices }) {
    this.order = order;
    this.state = state;
    this.notices = notices;
    this.#button.addEventListener('click', () => void this.start());
  }

  /** Ask for a relaxed face, give it a moment, then let the engine look; nothing happens while that goes on. */
  async start() {
    if (this.#running || !this.#possible()) return;
    this.#enter('ready', 'Look straight ahead, relax your face…');
    await pass(READY_MS);
    if (this.order()) {
      this.#enter('rest', 'Stay like that for a second…');
      await pass(REST_MS);
      if (this.state() === 'driven') this.notices.show('info', 'Calibrated: that is your neutral face now.');
      else this.notices.show('warning', 'No face in sight: calibration goes on when yours is back.');
    }
    this.#running = false;
    this.#overlay.hidden = true;
    this.#button.setAttribute('aria-busy', 'false');
  }

  #possible() {
    const state = this.state();
    if (state === 'driven') return true;
    const paused = state === 'paused';
    this.notices.show('warning', paused ? 'Resume first, then calibrate.' : 'No face drives just now to calibrate.');
    return false;
  }

  /**
   * @param {'ready' | 'rest'} phase
   * @param {string} text
   */
  #enter(phase, text) {
    this.#running = true;
    this.#button.setAttribute('aria-busy', 'true');
    this.#overlay.hidden = false;
    this.#overlay.dataset['phase'] = phase;
    say(this.#text, text);
  }
}

/** @param {number} ms */
function pass(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
