// Watching: one WHEP playback, with the least delay that the browser allows.

import { Exchange, preferCodecs } from './exchange.js';
import { pictureStopped } from './failures.js';
import { Keeper } from './keeper.js';

/**
 * What the browser says about the picture it gets.
 *
 * @typedef {object} Seen
 * @property {number} fps  frames decoded in the last second
 * @property {number} frames  frames decoded since the connection opened
 * @property {string} codec
 * @property {number} bufferMs  mean time that a frame of the last second waited in the jitter buffer
 * @property {number | null} roundTripMs
 * @property {number} freezes
 * @property {number} width
 * @property {number} height
 */

const LOOK_MS = 250;
const STALLED_MS = 6000;

export class Player {
  /** @type {Exchange | null} */
  #exchange = null;

  /**
   * @param {object} options
   * @param {string} options.path
   * @param {HTMLVideoElement} options.video
   * @param {(signal: AbortSignal) => Promise<void>} options.prepare  runs before every attempt
   * @param {(link: import('./keeper.js').Link) => void} options.onlink
   * @param {(seen: Seen) => void} options.onseen
   */
  constructor({ path, video, prepare, onlink, onseen }) {
    this.path = path;
    this.video = video;
    this.prepare = prepare;
    this.onseen = onseen;
    this.keeper = new Keeper((signal, opened) => this.#play(signal, opened), onlink);
  }

  start() {
    this.keeper.start();
  }

  /** Leave at once, also while the page goes away. */
  stop() {
    this.keeper.stop();
  }

  /** Connect now instead of when the wait is over. */
  retry() {
    this.keeper.retry();
  }

  /**
   * Give the present connection up for that reason and connect anew.
   *
   * @param {unknown} reason
   */
  restart(reason) {
    this.#exchange?.end(reason);
  }

  /**
   * @param {AbortSignal} signal
   * @param {() => void} opened
   */
  async #play(signal, opened) {
    const startedAt = performance.now();
    await this.prepare(signal);
    const exchange = await Exchange.open(this.path, signal, opened, startedAt);
    this.#exchange = exchange;
    try {
      await exchange.hold(signal, () => this.#offer(exchange.pc), this.#looker(exchange), LOOK_MS);
    } finally {
      this.#exchange = null;
    }
  }

  /** @param {RTCPeerConnection} pc */
  #offer(pc) {
    const stream = new MediaStream();
    pc.addEventListener('track', ({ track, receiver }) => {
      if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0;
      stream.addTrack(track);
      this.video.srcObject = stream;
      // Muted video may always start; where even that is refused, the page offers a button.
      this.video.play().catch(() => {});
    });
    const transceiver = pc.addTransceiver('video', { direction: 'recvonly' });
    preferCodecs(transceiver, RTCRtpReceiver.getCapabilities('video'));
    pc.addTransceiver('audio', { direction: 'recvonly' });
  }

  /**
   * Looks at what arrives: the first frame opens the connection, none for long ends it.
   *
   * @param {Exchange} exchange
   */
  #looker(exchange) {
    let frames = 0;
    let movedAt = performance.now();
    /** @type {{at: number, counts: Counts}[]} */
    const second = [];
    return async () => {
      const report = await exchange.stats();
      if (!report) return;
      const { seen, counts } = summary(report);
      const now = performance.now();
      if (document.hidden) movedAt = now; // browsers may stop decoding what nobody sees
      if (seen.frames > frames) {
        exchange.ready();
        frames = seen.frames;
        movedAt = now;
      } else if (frames > 0 && now - movedAt > STALLED_MS) {
        exchange.end(pictureStopped());
      }
      second.push({ at: now, counts });
      while (second.length > 1 && now - (second[0]?.at ?? now) > 1100) second.shift();
      const before = second[0]?.counts ?? counts;
      const tookMs = now - (second[0]?.at ?? now);
      const emitted = counts.emitted - before.emitted;
      if (tookMs) seen.fps = ((counts.decoded - before.decoded) * 1000) / tookMs;
      if (emitted) seen.bufferMs = ((counts.bufferedS - before.bufferedS) * 1000) / emitted;
      if (frames > 0) this.onseen(seen);
    };
  }
}

/**
 * What the browser counts since the connection opened.
 *
 * @typedef {{decoded: number, emitted: number, bufferedS: number}} Counts
 */

/**
 * @param {RTCStatsReport} report
 * @returns {{seen: Seen, counts: Counts}} rates in `seen` are still to be worked out from the counts
 */
function summary(report) {
  /** @type {Seen} */
  const seen = { fps: 0, frames: 0, codec: '', bufferMs: 0, roundTripMs: null, freezes: 0, width: 0, height: 0 };
  const counts = { decoded: 0, emitted: 0, bufferedS: 0 };
  for (const entry of report.values()) {
    if (entry.type === 'inbound-rtp' && entry.kind === 'video') {
      seen.frames = entry.framesDecoded ?? 0;
      seen.freezes = entry.freezeCount ?? 0;
      seen.width = entry.frameWidth ?? 0;
      seen.height = entry.frameHeight ?? 0;
      seen.codec = String(report.get(entry.codecId)?.mimeType ?? '').replace(/^video\//i, '');
      counts.decoded = seen.frames;
      counts.emitted = entry.jitterBufferEmittedCount ?? 0;
      counts.bufferedS = entry.jitterBufferDelay ?? 0;
    } else if (entry.type === 'candidate-pair' && entry.nominated && entry.currentRoundTripTime !== undefined) {
      seen.roundTripMs = entry.currentRoundTripTime * 1000;
    }
  }
  return { seen, counts };
}
