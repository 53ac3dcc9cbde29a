// The 52 ARKit names, in groups and in words. Left and right are the avatar's own.

/**
 * One row of sliders: a single expression, or the two sides of one.
 *
 * @typedef {object} Row
 * @property {string} label
 * @property {string} group
 * @property {string[]} names  one ARKit name, or [right, left]: as they stand in the picture
 */

/** @type {[RegExp, string][]} */
const GROUPS = [
  [/^brow/, 'Brows'],
  [/^eye/, 'Eyes'],
  [/^(mouth|tongue)/, 'Mouth'],
  [/^jaw/, 'Jaw'],
  [/^(cheek|nose)/, 'Cheeks and nose'],
];

/** @param {string} name */
function group(name) {
  return GROUPS.find(([pattern]) => pattern.test(name))?.[1] ?? 'Other';
}

/** jawLeft and mouthLeft are directions, not sides. */
const DIRECTIONS = new Set(['jawLeft', 'jawRight', 'mouthLeft', 'mouthRight']);

/**
 * `mouthSmileLeft` -> `Smile`, `browInnerUp` -> `Inner up`: the group's heading says the rest.
 *
 * @param {string} name
 * @param {boolean} sided
 */
function label(name, sided) {
  const stem = sided ? name.replace(/(Left|Right)$/, '') : name;
  const words = stem
    .replace(/([A-Z])/g, ' $1')
    .toLowerCase()
    .split(' ');
  const short = words.length > 1 && /^(brow|eye|mouth|jaw)$/.test(words[0] ?? '') ? words.slice(1) : words;
  const text = short.join(' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * The rows to show for the expressions that the engine names, group by group.
 *
 * @param {string[]} names
 * @returns {Row[]}
 */
export function rows(names) {
  const known = new Set(names);
  /** @type {Row[]} */
  const found = [];
  for (const name of names) {
    const twin = name.replace(/Left$/, 'Right');
    const sided = twin !== name && known.has(twin) && !DIRECTIONS.has(name);
    if (sided) found.push({ label: label(name, true), group: group(name), names: [twin, name] });
    else if (!known.has(name.replace(/Right$/, 'Left')) || !/Right$/.test(name) || DIRECTIONS.has(name)) {
      found.push({ label: label(name, false), group: group(name), names: [name] });
    }
  }
  const order = [...GROUPS.map(([, title]) => title), 'Other'];
  return found.sort((a, b) => order.indexOf(a.group) - order.indexOf(b.group));
}

/**
 * Whether a row answers a search: every word of it is in the group, the label or an ARKit name.
 *
 * @param {Row} row
 * @param {string} search
 */
export function matches(row, search) {
  const text = `${row.group} ${row.label} ${row.names.join(' ')}`.toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
