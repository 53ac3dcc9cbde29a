// Gaze and head: two pads, roll, resets.

import { part, say } from './dom.js';
import { Pad } from './pad.js';
import { labelled } from './sliders.js';

/** @typedef {import('./controls.js').ControlState} ControlState */

/** What the portrait bears before it breaks, in degrees. */
const GAZE = { yaw: 30, pitch: 20 };
const HEAD = { yaw: 25, pitch: 20, roll: 25 };

const ACROSS = { positive: 'right', negative: 'left' };
const UP = { positive: 'up', negative: 'down' };

/** @param {number} value */
const degrees = (value) => `${Math.round(value)}°`;

/** @param {ControlState} controls */
export function posePanel(controls) {
  const gaze = new Pad({
    name: 'Gaze',
    x: { limit: GAZE.yaw, ...ACROSS },
    y: { limit: GAZE.pitch, ...UP },
    onedit: (yaw, pitch) => controls.edit({ gaze: { yaw, pitch } }),
  });
  const head = new Pad({
    name: 'Head',
    x: { limit: HEAD.yaw, ...ACROSS },
    y: { limit: HEAD.pitch, ...UP },
    onedit: (yaw, pitch) => controls.edit({ head: { yaw, pitch } }),
  });
  const roll = labelled('Tilt', {
    name: 'Head tilt',
    min: -HEAD.roll,
    max: HEAD.roll,
    step: 1,
    neutral: 0,
    format: degrees,
    // The engine counts roll towards the avatar's right, which is the left of the picture.
    onedit: (value) => controls.edit({ head: { roll: -value } }),
  });
  part('gaze-pad', HTMLDivElement).append(gaze.element);
  part('head-pad', HTMLDivElement).append(head.element);
  part('head-roll', HTMLDivElement).append(roll.element);
  part('gaze-reset', HTMLButtonElement).addEventListener('click', () =>
    controls.edit({ gaze: { yaw: 0, pitch: 0 } }),
  );
  part('head-reset', HTMLButtonElement).addEventListener('click', () =>
    controls.edit({ head: { yaw: 0, pitch: 0, roll: 0 } }),
  );
  const gazeText = part('gaze-text', HTMLElement);
  const headText = part('head-text', HTMLElement);
  controls.watch((value) => {
    gaze.set(value.gaze.yaw, value.gaze.pitch);
    head.set(value.head.yaw, value.head.pitch);
    roll.set(-value.head.roll || 0);
    say(gazeText, gaze.text());
    say(headText, head.text());
  });
}
