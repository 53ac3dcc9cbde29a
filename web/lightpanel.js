// Whether the face is lit as its portrait was, or as the person at the camera is, and how far.

import { part } from './dom.js';
import { share } from './sliders.js';

/** @param {import('./controls.js').ControlState} controls */
export function lightPanel(controls) {
  const choices = part('light', HTMLFieldSetElement);
  const strength = share('Strength', 'Strength of my light', 1, (value) => controls.edit({ light_strength: value }));
  part('light-strength', HTMLElement).append(strength.element);
  choices.addEventListener('change', (event) => {
    if (event.target instanceof HTMLInputElement) controls.edit({ light: event.target.value });
  });
  controls.watch(({ light, light_strength }) => {
    for (const choice of choices.querySelectorAll('input')) choice.checked = choice.value === light;
    strength.set(light_strength);
    part('light-strength', HTMLElement).hidden = light !== 'driver';
  });
}
