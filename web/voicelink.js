// My microphone alone goes to the engine by WHIP: it speaks beside whoever drives.

import { Exchange } from './exchange.js';
import { Failure, noWebRtc, pageInsecure } from './failures.js';
import { Keeper } from './keeper.js';

const LOOK_MS = 200;

export class VoiceLink {
  /** @type {MediaStreamTrack | null} */
  #track = null;
  /** @type {RTCRtpSender | null} */
  #sender = null;

  /**
   * @param {string} path
   * @param {(link: import('./keeper.js').Link) => void} onlink
   */
  constructor(path, onlink) {
    this.path = path;
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
    if (typeof RTCPeerConnection === 'undefined') throw noWebRtc();
    const exchange = await Exchange.open(this.path, signal);
    const { pc } = exchange;
    const leave = () => exchange.close();
    signal.addEventListener('abort', leave, { once: true });
    /** @type {number | undefined} */
    let looking;
    try {
      this.#sender = pc.addTransceiver(this.#track ?? 'audio', { direction: 'sendonly' }).sender;
      await exchange.negotiate(signal);
      looking = setInterval(() => {
        if (pc.connectionState !== 'connected') return;
        clearInterval(looking);
        exchange.ready();
        opened();
      }, LOOK_MS);
      await exchange.ended;
    } finally {
      clearInterval(looking);
      signal.removeEventListener('abort', leave);
      exchange.close();
      this.#sender = null;
    }
  }
}

/**
 * Open a microphone, with what keeps the avatar from hearing itself. Throws `Failure`.
 *
 * @param {string} device  its id, "" for the default
 * @returns {Promise<MediaStreamTrack>}
 */
export async function openMicrophone(device) {
  if (!navigator.mediaDevices) throw pageInsecure();
  /** @type {MediaTrackConstraints} */
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  if (device) audio.deviceId = { exact: device };
  try {
    const [track] = (await navigator.mediaDevices.getUserMedia({ audio })).getAudioTracks();
    if (track) return track;
  } catch (error) {
    throw microphoneFailure(error);
  }
  throw microphoneFailure(new DOMException('', 'NotFoundError'));
}

/**
 * @param {unknown} error  what getUserMedia threw
 * @returns {Failure}
 */
function microphoneFailure(error) {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError' || name === 'SecurityError') {
    return new Failure('microphone-denied', {
      title: 'The microphone is not allowed',
      why: 'This browser, or the system, refused the microphone for this page.',
      mend: 'Click the microphone sign in the address bar, allow it, then press “Use my voice” again.',
      retry: false,
    });
  }
  if (name === 'NotFoundError' || name === 'OverconstrainedError') {
    return new Failure('microphone-missing', {
      title: 'No microphone was found',
      why: 'This computer has none, it is unplugged, or the chosen one is gone.',
      mend: 'Plug one in or choose another one.',
      retry: false,
    });
  }
  return new Failure('microphone', {
    title: 'The microphone cannot be used',
    why: error instanceof Error && error.message ? error.message : 'Another program may hold it.',
    mend: 'Close the other program or plug it in again, then press “Use my voice” again.',
    retry: false,
  });
}
