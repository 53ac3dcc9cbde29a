// Whether the face is lit as its portrait was, or as the person at the camera is, and how far.

import { choice } from './choice.js';
import { part } from './dom.js';
import { share } from './sliders.js';

/** @param {import('./controls.js').ControlState} controls */
export function lightPanel(controls) {
  choice('light', controls, 'light');
  const strength = share('Strength', 'Strength of my light', 1, (value) => controls.edit({ light_strength: value }));
  part('light-strength', HTMLElement).append(strength.element);
  controls.watch(({ light, light_strength }) => {
    strength.set(light_strength);
    part('light-strength', HTMLElement).hidden = light !== 'driver';
  });
}
