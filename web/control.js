// The control socket: the engine's state comes in, edits and orders go out; it reconnects by itself.

import { connectionLost, engineGone } from './failures.js';
import { Keeper } from './keeper.js';

/** @typedef {{p50: number, p95: number, p99: number}} Quantiles */

/**
 * @typedef {object} Snapshot
 * @property {'driven' | 'holding' | 'idle' | 'paused' | 'degraded'} state
 * @property {string} source
 * @property {string} [voice]  who speaks beside the source
 * @property {string} avatar
 * @property {number} fps
 * @property {number} frames
 * @property {number} late
 * @property {Record<string, number>} dropped
 * @property {Record<string, Quantiles>} latency_ms  stages in the order of a frame's way; see history.js
 * @property {number} level
 * @property {number} viewers
 * @property {number} faces
 * @property {number} [budget_ms]
 * @property {boolean} [recording]
 * @property {{width: number, height: number}} [picture]  px
 */

/**
 * @typedef {{type: 'hello', controls: Record<string, unknown>, expressions: string[],
 *     emotions?: string[], avatar: {title: string}, snapshot: Snapshot}
 *   | {type: 'stats', snapshot: Snapshot}
 *   | {type: 'controls', controls: Record<string, unknown>}
 *   | {type: 'notice', level: 'info' | 'warning' | 'error', text: string}
 *   | {type: 'recording', state: 'on'}
 *   | {type: 'recording', state: 'off', url?: string, reason?: string}
 *   | {type: 'avatar', title: string}} Message
 */

/** @typedef {'recentre' | 'calibrate' | 'record' | 'stop_recording' | 'release'} Action */

const SILENCE_MS = 4000;

export class ControlSocket {
  /** @type {WebSocket | null} */
  #socket = null;

  /**
   * @param {object} options
   * @param {() => string} options.address
   * @param {(link: import('./keeper.js').Link) => void} options.onlink
   * @param {(message: Message) => void} options.onmessage
   */
  constructor({ address, onlink, onmessage }) {
    this.address = address;
    this.onmessage = onmessage;
    this.keeper = new Keeper((signal, opened) => this.#talk(signal, opened), onlink);
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  start() {
    this.keeper.start();
  }

  stop() {
    this.keeper.stop();
  }

  /** Connect now instead of when the wait is over. */
  retry() {
    this.keeper.retry();
  }

  /**
   * @param {Record<string, unknown>} controls
   * @returns {boolean} whether it was sent
   */
  set(controls) {
    return this.#send({ type: 'set', controls });
  }

  /**
   * @param {Action} action
   * @returns {boolean} whether it was sent
   */
  do(action) {
    return this.#send({ type: 'do', action });
  }

  /** @param {object} message */
  #send(message) {
    if (!this.#socket || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /**
   * @param {AbortSignal} signal
   * @param {() => void} opened
   * @returns {Promise<void>}
   */
  #talk(signal, opened) {
    const socket = new WebSocket(this.address());
    this.#socket = socket;
    let greeted = false;
    let heardAt = performance.now();
    // A cable pulled out closes nothing: four messages a second make silence telling.
    const listening = setInterval(() => {
      if (!document.hidden && performance.now() - heardAt > SILENCE_MS) socket.close();
    }, 1000);
    const leave = () => socket.close();
    signal.addEventListener('abort', leave, { once: true });
    return new Promise((_, reject) => {
      socket.addEventListener('message', ({ data }) => {
        heardAt = performance.now();
        const message = /** @type {Message} */ (JSON.parse(String(data)));
        if (message.type === 'hello') {
          greeted = true;
          opened();
        }
        this.onmessage(message);
      });
      socket.addEventListener('close', () => {
        clearInterval(listening);
        signal.removeEventListener('abort', leave);
        if (this.#socket === socket) this.#socket = null;
        reject(greeted ? connectionLost() : engineGone());
      });
    });
  }
}
