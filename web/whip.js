// Driving: my camera and microphone go to the engine by WHIP.

import { Exchange, preferCodecs } from './exchange.js';
import { noWebRtc } from './failures.js';
import { Keeper } from './keeper.js';

const VIDEO_BITS_PER_SECOND = 1_500_000;
const FPS = 30;
const LOOK_MS = 500;

/**
 * What leaves this browser.
 *
 * @typedef {object} Sent
 * @property {number} fps
 * @property {number} width
 * @property {number} height
 * @property {string} codec
 * @property {string} limited  "cpu", "bandwidth" or "none"
 */

export class Publisher {
  /** @type {Exchange | null} */
  #exchange = null;
  /** @type {MediaStream | null} */
  #stream = null;

  /**
   * @param {object} options
   * @param {string} options.path
   * @param {(link: import('./keeper.js').Link) => void} options.onlink
   * @param {(sent: Sent) => void} options.onsent
   */
  constructor({ path, onlink, onsent }) {
    this.path = path;
    this.onsent = onsent;
    this.keeper = new Keeper((signal, opened) => this.#publish(signal, opened), onlink);
  }

  get active() {
    return this.keeper.wanted;
  }

  /** @param {MediaStream} stream */
  start(stream) {
    this.#stream = stream;
    this.keeper.start();
  }

  stop() {
    this.keeper.stop();
    this.#exchange?.close();
    this.#stream = null;
  }

  /**
   * Change camera or microphone without a new connection where that is possible.
   *
   * @param {MediaStream} stream
   */
  async swap(stream) {
    this.#stream = stream;
    const senders = this.#exchange?.pc.getSenders() ?? [];
    for (const kind of ['video', 'audio']) {
      const track = stream.getTracks().find((one) => one.kind === kind) ?? null;
      const sender = senders[kind === 'video' ? 0 : 1];
      if (kind === 'video' && track) track.contentHint = 'motion';
      if (sender) await sender.replaceTrack(track);
    }
  }

  /**
   * @param {AbortSignal} signal
   * @param {() => void} opened
   */
  async #publish(signal, opened) {
    if (typeof RTCPeerConnection === 'undefined') throw noWebRtc();
    const exchange = await Exchange.open(this.path, signal);
    this.#exchange = exchange;
    const { pc } = exchange;
    const leave = () => exchange.close();
    signal.addEventListener('abort', leave, { once: true });
    /** @type {number | undefined} */
    let looking;
    try {
      const [camera] = this.#stream?.getVideoTracks() ?? [];
      const [microphone] = this.#stream?.getAudioTracks() ?? [];
      const video = pc.addTransceiver(camera ?? 'video', {
        direction: 'sendonly',
        sendEncodings: [{ maxBitrate: VIDEO_BITS_PER_SECOND, maxFramerate: FPS }],
      });
      if (camera) camera.contentHint = 'motion'; // a lively face is worth more than a sharp one
      preferCodecs(video, RTCRtpSender.getCapabilities('video'));
      await keepFramerate(video.sender);
      // Offered even without a microphone, so that one can be switched on later.
      pc.addTransceiver(microphone ?? 'audio', { direction: 'sendonly' });
      await exchange.negotiate(signal);
      looking = this.#look(exchange, opened);
      await exchange.ended;
    } finally {
      clearInterval(looking);
      signal.removeEventListener('abort', leave);
      exchange.close();
      this.#exchange = null;
    }
  }

  /**
   * @param {Exchange} exchange
   * @param {() => void} opened
   */
  #look(exchange, opened) {
    let open = false;
    return setInterval(async () => {
      const { pc } = exchange;
      if (!open && pc.connectionState === 'connected') {
        open = true;
        exchange.ready();
        opened();
      }
      const report = await pc.getStats();
      for (const entry of report.values()) {
        if (entry.type !== 'outbound-rtp' || entry.kind !== 'video') continue;
        this.onsent({
          fps: entry.framesPerSecond ?? 0,
          width: entry.frameWidth ?? 0,
          height: entry.frameHeight ?? 0,
          codec: String(report.get(entry.codecId)?.mimeType ?? '').replace(/^video\//i, ''),
          limited: entry.qualityLimitationReason ?? 'none',
        });
      }
    }, LOOK_MS);
  }
}

/** @param {RTCRtpSender} sender */
async function keepFramerate(sender) {
  const parameters = sender.getParameters();
  Object.assign(parameters, { degradationPreference: 'maintain-framerate' });
  try {
    await sender.setParameters(parameters);
  } catch {
    // Firefox does not know it: its own choice has to do
  }
}
