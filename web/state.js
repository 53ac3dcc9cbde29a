// The one honest answer to "what am I looking at?", out of the connection and the engine's own word.

/** @typedef {import('./keeper.js').Link} Link */
/** @typedef {import('./control.js').Snapshot} Snapshot */

/**
 * @typedef {object} Shown
 * @property {'connecting' | 'failed' | 'unknown' | 'driven' | 'holding' | 'idle' | 'paused' | 'degraded'} name
 * @property {string} title
 * @property {string} detail
 */

/**
 * Who drives; empty when nobody does.
 *
 * @param {Snapshot} snapshot
 * @param {boolean} mine  this page's own camera drives
 */
export function driverName({ source, voice }, mine) {
  return mine ? 'your camera' : source || voice || '';
}

/**
 * @param {object} facts
 * @param {Link} facts.picture  the WHEP connection
 * @param {Link} facts.control  the control socket
 * @param {Snapshot | null} facts.snapshot  the latest one, null when there is none
 * @param {boolean} facts.mine  this page's own camera drives
 * @param {string} facts.trouble  the last thing the engine complained about
 * @returns {Shown}
 */
export function shownState({ picture, control, snapshot, mine, trouble }) {
  if (picture.phase === 'failed' || (picture.phase === 'connecting' && picture.failure)) {
    return { name: 'failed', title: 'No picture', detail: '' }; // the picture's place says why
  }
  if (picture.phase !== 'open') return { name: 'connecting', title: 'Connecting', detail: '' };
  if (control.phase !== 'open' || !snapshot) {
    return { name: 'unknown', title: 'State unknown', detail: 'controls are reconnecting' };
  }
  const noFace = mine ? 'your camera sees no face' : 'no face in sight';
  switch (snapshot.state) {
    case 'driven':
      return {
        name: 'driven',
        title: 'Driven',
        detail: `by ${driverName(snapshot, mine) || 'somebody'}`,
      };
    case 'holding':
      return { name: 'holding', title: 'Holding', detail: noFace };
    case 'paused':
      return { name: 'paused', title: 'Paused', detail: 'nothing of you goes out' };
    case 'degraded':
      return { name: 'degraded', title: 'Degraded', detail: trouble || 'a stage failed and restarts' };
    default:
      return { name: 'idle', title: 'Idle', detail: mine || snapshot.source ? noFace : 'nobody drives' };
  }
}
