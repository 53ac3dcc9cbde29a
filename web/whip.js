// Driving: my camera and microphone go to the engine by WHIP.

import { whipPath } from './address.js';
import { Exchange, preferCodecs } from './exchange.js';
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
  /** @type {MediaStream | null} */
  #stream = null;
  /** Of the present connection: video, audio. @type {RTCRtpSender[]} */
  #senders = [];

  /**
   * @param {object} options
   * @param {(link: import('./keeper.js').Link) => void} options.onlink
   * @param {(sent: Sent) => void} options.onsent
   */
  constructor({ onlink, onsent }) {
    this.onsent = onsent;
    this.keeper = new Keeper((signal, opened) => this.#publish(signal, opened), onlink);
  }

  /** @param {MediaStream} stream */
  start(stream) {
    this.#stream = stream;
    this.keeper.start();
  }

  stop() {
    this.keeper.stop();
    this.#stream = null;
  }

  /**
   * Change camera or microphone without a new connection.
   *
   * @param {MediaStream} stream
   */
  async swap(stream) {
    this.#stream = stream;
    const { camera, microphone } = this.#tracks();
    await this.#senders[0]?.replaceTrack(camera);
    await this.#senders[1]?.replaceTrack(microphone);
  }

  #tracks() {
    const [camera = null] = this.#stream?.getVideoTracks() ?? [];
    const [microphone = null] = this.#stream?.getAudioTracks() ?? [];
    if (camera) camera.contentHint = 'motion'; // a lively face is worth more than a sharp one
    return { camera, microphone };
  }

  /**
   * @param {AbortSignal} signal
   * @param {() => void} opened
   */
  async #publish(signal, opened) {
    const exchange = await Exchange.open(whipPath, signal, opened);
    const { pc } = exchange;
    const offer = async () => {
      const { camera, microphone } = this.#tracks();
      const video = pc.addTransceiver(camera ?? 'video', {
        direction: 'sendonly',
        sendEncodings: [{ maxBitrate: VIDEO_BITS_PER_SECOND, maxFramerate: FPS }],
      });
      preferCodecs(video, RTCRtpSender.getCapabilities('video'));
      // Offered even without a microphone, so that one can be switched on later.
      pc.addTransceiver(microphone ?? 'audio', { direction: 'sendonly' });
      this.#senders = pc.getSenders(); // from here on `swap` reaches them
      await keepFramerate(video.sender);
    };
    try {
      await exchange.hold(signal, offer, () => this.#look(exchange), LOOK_MS);
    } finally {
      this.#senders = [];
    }
  }

  /** @param {Exchange} exchange */
  async #look(exchange) {
    if (exchange.pc.connectionState === 'connected') exchange.ready();
    const report = await exchange.stats();
    for (const entry of report?.values() ?? []) {
      if (entry.type !== 'outbound-rtp' || entry.kind !== 'video') continue;
      this.onsent({
        fps: entry.framesPerSecond ?? 0,
        width: entry.frameWidth ?? 0,
        height: entry.frameHeight ?? 0,
        codec: String(report?.get(entry.codecId)?.mimeType ?? '').replace(/^video\//i, ''),
        limited: entry.qualityLimitationReason ?? 'none',
      });
    }
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
