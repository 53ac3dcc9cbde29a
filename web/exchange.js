// What WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) have in common: an SDP offer is posted, the answer
// comes back with the address of a resource, which takes more ICE candidates and is deleted at the end.

import { ask } from './api.js';
import { connectionLost, engineSlow, noCodec, noPicture, noWebRtc, pathBlocked } from './failures.js';

const GATHER_MS = 400;
const DEADLINE_MS = 8000;

/**
 * The ICE servers in a `Link` header: `<turn:host>; rel="ice-server"; username="u"; credential="c"`.
 *
 * @param {string | null} header
 * @returns {RTCIceServer[]}
 */
export function iceServers(header) {
  /** @type {RTCIceServer[]} */
  const servers = [];
  for (const [, urls, rest] of (header ?? '').matchAll(/<([^>]+)>((?:\s*;\s*[\w-]+="?[^";,]*"?)*)/g)) {
    if (!urls || !/rel="?ice-server"?/.test(rest ?? '')) continue;
    const username = /username="([^"]*)"/.exec(rest ?? '')?.[1];
    const credential = /credential="([^"]*)"/.exec(rest ?? '')?.[1];
    servers.push(username && credential ? { urls, username, credential } : { urls });
  }
  return servers;
}

/**
 * Put H.264 first, VP8 second, and leave the others out; what repairs losses stays.
 *
 * @param {RTCRtpTransceiver} transceiver
 * @param {RTCRtpCapabilities | null} capabilities
 */
export function preferCodecs(transceiver, capabilities) {
  const codecs = capabilities?.codecs ?? [];
  const h264 = codecs.filter(({ mimeType }) => /\/h264$/i.test(mimeType));
  const vp8 = codecs.filter(({ mimeType }) => /\/vp8$/i.test(mimeType));
  if (h264.length + vp8.length === 0) throw noCodec();
  // Packetization mode 1 first: mode 0 cannot split a picture over packets.
  h264.sort((a, b) => mode(b) - mode(a));
  const repair = codecs.filter(({ mimeType }) => /\/(rtx|red|ulpfec|flexfec-03)$/i.test(mimeType));
  transceiver.setCodecPreferences?.([...h264, ...vp8, ...repair]);
}

/** @param {RTCRtpCodec} codec */
function mode(codec) {
  return /packetization-mode=1/.test(codec.sdpFmtpLine ?? '') ? 1 : 0;
}

/**
 * One connection over WHIP or WHEP, from the offer to the DELETE:
 *
 *     const exchange = await Exchange.open(path, signal, opened);
 *     await exchange.hold(signal, offer, look, everyMs); // until it ends, throwing why
 */
export class Exchange {
  #location = '';
  #etag = '';
  /** @type {RTCIceCandidate[]} */
  #late = [];
  /** Rejects, by `#fail`, when the connection ends. @type {Promise<never>} */
  #ended;
  /** @type {(error: unknown) => void} */
  #fail = () => {};
  /** @type {number | undefined} */
  #deadline;

  /**
   * @param {string} path
   * @param {RTCPeerConnection} pc
   * @param {() => void} opened
   * @param {number} leftMs  the time left until media has to flow
   */
  constructor(path, pc, opened, leftMs) {
    this.path = path;
    this.pc = pc;
    this.opened = opened;
    this.#deadline = setTimeout(() => this.#fail(this.#reason()), leftMs);
    this.#ended = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#ended.catch(() => {}); // it may end before anybody waits for it
    this.#watch();
  }

  /**
   * A fresh peer connection with the ICE servers that the endpoint names. It has to be `ready` within 8 s
   * of `startedAt`, or it ends with what is missing.
   *
   * @param {string} path
   * @param {AbortSignal} signal  aborted when it is no longer wanted
   * @param {() => void} opened  called when it is `ready`
   * @param {number} [startedAt]  of `performance.now()`
   */
  static async open(path, signal, opened, startedAt = performance.now()) {
    if (typeof RTCPeerConnection === 'undefined') throw noWebRtc();
    const options = await ask(path, { method: 'OPTIONS', signal });
    const pc = new RTCPeerConnection({
      iceServers: iceServers(options.headers.get('Link')),
      bundlePolicy: 'max-bundle',
    });
    return new Exchange(path, pc, opened, DEADLINE_MS - (performance.now() - startedAt));
  }

  /**
   * Offer media, and keep the connection until it ends or is no longer wanted. Throws why it ended; it is closed then.
   *
   * @param {AbortSignal} signal
   * @param {() => unknown} offer  adds the media to `pc`
   * @param {() => unknown} look  what to do every so often from the answer on, `ready` among it
   * @param {number} everyMs
   */
  async hold(signal, offer, look, everyMs) {
    const leave = () => this.close();
    signal.addEventListener('abort', leave, { once: true });
    /** @type {number | undefined} */
    let looking;
    try {
      await offer();
      await this.#negotiate(signal);
      looking = setInterval(look, everyMs);
      await this.#ended;
    } finally {
      clearInterval(looking);
      signal.removeEventListener('abort', leave);
      this.close();
    }
  }

  /** @param {AbortSignal} signal */
  async #negotiate(signal) {
    const gathered = this.#gather();
    await this.pc.setLocalDescription();
    await gathered;
    const posted = ask(this.path, {
      method: 'POST',
      body: this.pc.localDescription?.sdp ?? '',
      headers: { 'Content-Type': 'application/sdp', Accept: 'application/sdp' },
      signal,
    });
    const response = await Promise.race([posted, this.#ended]);
    const resource = response.headers.get('Location');
    this.#location = resource ? new URL(resource, new URL(this.path, location.href)).href : '';
    this.#etag = response.headers.get('ETag') ?? '';
    await this.pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    void this.#trickle(this.#late.splice(0));
  }

  /** Media flows: the deadline no longer holds. Only the first call counts. */
  ready() {
    if (!this.#deadline) return;
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    this.opened();
  }

  /**
   * What the browser counts; null once it is closed.
   *
   * @returns {Promise<RTCStatsReport | null>}
   */
  async stats() {
    const report = await this.pc.getStats();
    return this.pc.signalingState === 'closed' ? null : report;
  }

  /**
   * End it for that reason, which `hold` throws.
   *
   * @param {unknown} reason
   */
  end(reason) {
    this.#fail(reason);
  }

  /** Close, and tell the engine; works while the page goes away. */
  close() {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    this.pc.close();
    this.#fail(connectionLost());
    if (!this.#location) return;
    // Nothing to do when the engine is gone already.
    ask(this.#location, { method: 'DELETE', keepalive: true }).catch(() => {});
    this.#location = '';
  }

  /** Why there is still no picture. */
  #reason() {
    if (!this.pc.remoteDescription) return engineSlow();
    return this.pc.connectionState === 'connected' ? noPicture() : pathBlocked();
  }

  #watch() {
    this.pc.addEventListener('connectionstatechange', () => {
      const state = this.pc.connectionState;
      if (state === 'failed') this.#fail(this.#deadline ? pathBlocked() : connectionLost());
      if (state === 'closed') this.#fail(connectionLost());
      if (state === 'disconnected') {
        // Often heals within a second or two; the browser's own verdict takes 15 s or more.
        setTimeout(() => {
          if (this.pc.connectionState === 'disconnected') this.#fail(connectionLost());
        }, 3000);
      }
    });
    this.pc.addEventListener('icecandidate', ({ candidate }) => {
      if (!candidate?.candidate) return;
      if (this.#location) void this.#trickle([candidate]);
      else this.#late.push(candidate);
    });
  }

  /** Wait for candidates, but not long: those that come later are sent on their own. */
  #gather() {
    return new Promise((resolve) => {
      setTimeout(resolve, GATHER_MS, undefined);
      this.pc.addEventListener('icegatheringstatechange', () => {
        if (this.pc.iceGatheringState === 'complete') resolve(undefined);
      });
    });
  }

  /**
   * Send candidates after the offer, as an SDP fragment (RFC 8840).
   *
   * @param {RTCIceCandidate[]} candidates
   */
  async #trickle(candidates) {
    const offer = this.pc.localDescription?.sdp ?? '';
    const fresh = candidates.filter(({ candidate }) => !offer.includes(candidate));
    if (!fresh.length || !this.#location) return;
    const credentials = offer.match(/^a=ice-(ufrag|pwd):.*$/gm)?.slice(0, 2) ?? [];
    const mid = fresh[0]?.sdpMid ?? '0';
    const fragment = [
      ...credentials,
      /^m=.*$/m.exec(offer)?.[0] ?? '', // all is bundled: the first section stands for every one
      `a=mid:${mid}`,
      ...fresh.map(({ candidate }) => `a=${candidate}`),
      '',
    ].join('\r\n');
    /** @type {Record<string, string>} */
    const headers = { 'Content-Type': 'application/trickle-ice-sdpfrag' };
    if (this.#etag) headers['If-Match'] = this.#etag;
    try {
      await ask(this.#location, { method: 'PATCH', body: fragment, headers });
    } catch {
      // The endpoint does without: the candidates of the offer have to do, and the deadline judges.
    }
  }
}
