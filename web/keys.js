// One key, one deed; never while somebody types, and Space never steals a press from a button.

/**
 * @typedef {object} Deeds
 * @property {() => void} pause
 * @property {() => void} recentre
 * @property {() => void} calibrate
 * @property {() => void} mirror
 * @property {() => void} record
 * @property {() => void} sound
 * @property {() => void} camera
 * @property {() => void} fullscreen
 * @property {() => void} search
 * @property {() => void} help
 */

/** @type {Record<string, keyof Deeds>} */
const KEYS = {
  ' ': 'pause',
  p: 'pause',
  c: 'recentre',
  n: 'calibrate',
  m: 'mirror',
  r: 'record',
  s: 'sound',
  v: 'camera',
  f: 'fullscreen',
  '/': 'search',
  '?': 'help',
};

const TYPED =
  'input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]';
const PRESSED = 'button, summary, a, input, [role=tab]';

/** @param {Deeds} deeds */
export function listenForKeys(deeds) {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (document.querySelector('dialog[open]')) return;
    const at = event.target instanceof Element ? event.target : document.body;
    if (at.matches(TYPED)) return;
    if (event.key === ' ' && at.matches(PRESSED)) return;
    const deed = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!deed) return;
    event.preventDefault();
    deeds[deed]();
  });
}
