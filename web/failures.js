// What can go wrong, in words for people: what happened, why, and what to do.

/**
 * A failure that is shown as it is. `retry` says whether trying again by itself makes sense.
 */
export class Failure extends Error {
  /**
   * @param {string} kind  a short name, for tests and for the places that treat one kind differently
   * @param {{title: string, why: string, mend: string, retry?: boolean}} words
   */
  constructor(kind, { title, why, mend, retry = true }) {
    super(`${title}. ${why}`);
    this.name = 'Failure';
    this.kind = kind;
    this.title = title;
    this.why = why;
    this.mend = mend;
    this.retry = retry;
  }

  /** All of it, in sentences. */
  toString() {
    return [`${this.title}.`, this.why, this.mend].filter(Boolean).join(' ');
  }
}

export const engineGone = () =>
  new Failure('engine-gone', {
    title: 'The engine does not answer',
    why: `Nothing replies at ${location.host}. It was stopped, or the network between is down.`,
    mend: 'Start it again with “mien run”. This page reconnects by itself.',
  });

export const engineSlow = () =>
  new Failure('engine-slow', {
    title: 'The engine takes too long',
    why: `${location.host} accepted the request but has not answered for several seconds.`,
    mend: 'The machine may be busy or still starting. This page keeps trying.',
  });

export const tokenWrong = () =>
  new Failure('token', {
    title: 'The token is missing or wrong',
    why: 'This engine only talks to people who hold its token.',
    mend: 'Open the whole address that “mien run” printed (it ends in #token=…), or enter the token here.',
    retry: false,
  });

/** @param {string} detail */
export const full = (detail) =>
  new Failure('full', {
    title: 'The engine is full',
    why: detail || 'It runs as many sessions as this machine can hold.',
    mend: 'Close another session, or raise the limit. This page joins as soon as there is room.',
  });

/** @param {string} name */
export const sessionUnknown = (name) =>
  new Failure('session', {
    title: `There is no session “${name}”`,
    why: 'It was closed, or the address is misspelt.',
    mend: 'Check ?session= in the address, or leave it out to see the main session.',
  });

export const pathBlocked = () =>
  new Failure('path', {
    title: 'The picture cannot get through',
    why: 'The engine answers, but no path for video (UDP) opened between it and this browser.',
    mend:
      'On the same machine: allow local connections, and switch off a VPN. Across networks: open UDP in the ' +
      'firewall, or give the engine a TURN server. This page keeps trying.',
  });

export const noPicture = () =>
  new Failure('no-picture', {
    title: 'Connected, but no picture comes',
    why: 'The path is open, yet no frame could be shown within the time a first frame needs.',
    mend: 'The engine may be overloaded or its camera stuck: look at its log. This page keeps trying.',
  });

export const pictureStopped = () =>
  new Failure('stalled', {
    title: 'The picture stands still',
    why: 'The connection is up, but no new frame has come for several seconds.',
    mend: 'The engine may be overloaded. This page connects anew by itself.',
  });

export const connectionLost = () =>
  new Failure('lost', {
    title: 'The connection broke off',
    why: 'The engine was stopped, or the network changed.',
    mend: 'This page reconnects by itself.',
  });

export const noWebRtc = () =>
  new Failure('no-webrtc', {
    title: 'This browser cannot show the stream',
    why: 'It has no WebRTC, or WebRTC is switched off.',
    mend: 'Use a current Chrome, Edge, Firefox or Safari, or switch WebRTC on again.',
    retry: false,
  });

export const noCodec = () =>
  new Failure('no-codec', {
    title: 'No common video format',
    why: 'This browser plays neither H.264 nor VP8, or the engine offers neither of those it plays.',
    mend: 'In Firefox, wait until its OpenH264 plugin is installed; elsewhere use a browser with H.264 or VP8.',
    retry: false,
  });

/** @param {string} detail */
export const tooLarge = (detail) =>
  new Failure('too-large', {
    title: 'The file is too large',
    why: detail,
    mend: 'Choose a smaller one, or save it smaller.',
    retry: false,
  });

/**
 * What the engine says in its own words, which name the mend already.
 *
 * @param {number} status
 * @param {string} title
 * @param {string} detail
 */
export const refused = (status, title, detail) =>
  new Failure('refused', {
    title: title || 'The engine refused the request',
    why: detail || `It answered with status ${status}.`,
    mend: status >= 500 ? 'The engine’s log says more. This page keeps trying.' : '',
    retry: status >= 500,
  });

/** @typedef {'camera' | 'microphone'} Device */

/** @param {Device} device */
export const pageInsecure = (device) =>
  new Failure('insecure', {
    title: `The ${device} needs a secure page`,
    why: `Browsers hand out a ${device} only on https:// and on localhost.`,
    mend: 'Open it as https:// (start the engine with --tls-cert and --tls-key), or on the engine’s own machine.',
    retry: false,
  });

/**
 * Whether getUserMedia failed because somebody else holds the device, or the system does.
 *
 * @param {unknown} error
 */
export function isHeld(error) {
  return error instanceof DOMException && (error.name === 'NotReadableError' || error.name === 'AbortError');
}

/**
 * What getUserMedia threw, in words.
 *
 * @param {Device} device
 * @param {unknown} error
 * @returns {Failure}
 */
export function deviceFailure(device, error) {
  const name = error instanceof DOMException ? error.name : '';
  const button = device === 'camera' ? '“Use my camera”' : '“Use my voice”';
  if (name === 'NotAllowedError' || name === 'SecurityError') {
    return new Failure(`${device}-denied`, {
      title: `The ${device} is not allowed`,
      why: `This browser, or the system, refused the ${device} for this page.`,
      mend: `Click the ${device} sign in the address bar, allow it, then press ${button} again.`,
      retry: false,
    });
  }
  if (name === 'NotFoundError' || name === 'OverconstrainedError') {
    return new Failure(`${device}-missing`, {
      title: `No ${device} was found`,
      why: 'This computer has none, it is unplugged, or the chosen one is gone.',
      mend: `Plug one in or choose another one.${device === 'camera' ? ' You can also use a clip.' : ''}`,
      retry: false,
    });
  }
  const told = error instanceof Error ? error.message : String(error);
  return new Failure(device, {
    title: `The ${device} cannot be used`,
    why: isHeld(error) || !told ? 'Another program or tab may hold it.' : told,
    mend: `Close the other program or plug it in again, then press ${button} again.`,
    retry: false,
  });
}

/**
 * Anything thrown, as a Failure.
 *
 * @param {unknown} error
 * @returns {Failure}
 */
export function asFailure(error) {
  if (error instanceof Failure) return error;
  if (error instanceof DOMException && error.name === 'TimeoutError') return engineSlow();
  return new Failure('unexpected', {
    title: 'Something unexpected happened',
    why: error instanceof Error ? error.message : String(error),
    mend: 'Reload the page. If it happens again, please report it with these words.',
  });
}
