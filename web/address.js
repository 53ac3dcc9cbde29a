// Where the engine is: the session's name, the token, and the paths of the HTTP interface.

const KEPT = 'mien.token';

/** The session that this page shows: `?session=NAME`, "main" when not given. */
export const session = new URLSearchParams(location.search).get('session')?.trim() || 'main';

let token = takeToken();

/**
 * The token from `#token=`. It is taken out of the address bar at once and kept for this tab: pages get
 * shared on screen, above all by people in video calls.
 *
 * @returns {string}
 */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!given) return remembered();
  remember(given);
  history.replaceState(null, '', location.pathname + location.search);
  return given;
}

function remembered() {
  try {
    return sessionStorage.getItem(KEPT) ?? '';
  } catch {
    return ''; // storage is switched off: after a reload the whole address has to be opened again
  }
}

/** @param {string} value */
function remember(value) {
  try {
    sessionStorage.setItem(KEPT, value);
  } catch {
    // storage is switched off: it lasts as long as the page
  }
}

/** The address bar changed: somebody pasted the whole address into this tab. */
export function retakeToken() {
  token = takeToken();
}

/**
 * Use another token from now on.
 *
 * @param {string} value
 */
export function keepToken(value) {
  token = value;
  remember(value);
}

/** @returns {Record<string, string>} */
export function authorization() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** The session itself, as JSON. */
export const sessionAddress = `/api/sessions/${encodeURIComponent(session)}`;

/**
 * A path below the session, e.g. `avatar` -> `/api/sessions/main/avatar`.
 *
 * @param {string} rest
 */
export function sessionPath(rest) {
  return `${sessionAddress}/${rest}`;
}

/**
 * The same with the token in it, for what an element or a socket fetches without headers.
 *
 * @param {string} path
 */
export function withToken(path) {
  if (!token) return path;
  return `${path}${path.includes('?') ? '&' : '?'}token=${encodeURIComponent(token)}`;
}

/** @returns {string} the address of the control socket */
export function controlAddress() {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return `${scheme}//${location.host}${withToken(sessionPath('control'))}`;
}

export const whepPath = `/whep/${encodeURIComponent(session)}`;
export const whipPath = `/whip/${encodeURIComponent(session)}`;
