// My microphone alone goes to the engine by WHIP: it speaks beside whoever drives.

import { whipPath } from './address.js';
import { Exchange } from './exchange.js';
import { Keeper } from './keeper.js';

const LOOK_MS = 200;

export class VoiceLink {
  /** @type {MediaStreamTrack | null} */
  #track = null;
  /** @type {RTCRtpSender | null} */
  #sender = null;

  /** @param {(link: import('./keeper.js').Link) => void} onlink */
  constructor(onlink) {
    this.keeper = new Keeper((signal, opened) => this.#publish(signal, opened), onlink);
  }

  /** @param {MediaStreamTrack} track */
  start(track) {
    this.#track = track;
    this.keeper.start();
  }

  stop() {
    this.keeper.stop();
    this.#track = null;
  }

  /**
   * Another microphone, over the same connection.
   *
   * @param {MediaStreamTrack} track
   */
  async swap(track) {
    this.#track = track;
    await this.#sender?.replaceTrack(track);
  }

  /**
   * @param {AbortSignal} signal
   * @param {() => void} opened
   */
  async #publish(signal, opened) {
    const exchange = await Exchange.open(whipPath, signal, opened);
    const { pc } = exchange;
    const offer = () => {
      this.#sender = pc.addTransceiver(this.#track ?? 'audio', { direction: 'sendonly' }).sender;
    };
    const look = () => {
      if (pc.connectionState === 'connected') exchange.ready();
    };
    try {
      await exchange.hold(signal, offer, look, LOOK_MS);
    } finally {
      this.#sender = null;
    }
  }
}
