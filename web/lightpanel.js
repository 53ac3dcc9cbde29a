// Whether the face is lit as its portrait was, or as the person at the camera is.

import { part } from './dom.js';

/** @param {import('./controls.js').ControlState} controls */
export function lightPanel(controls) {
  const choices = part('light', HTMLFieldSetElement);
  choices.addEventListener('change', (event) => {
    if (event.target instanceof HTMLInputElement) controls.edit({ light: event.target.value });
  });
  controls.watch(({ light }) => {
    for (const choice of choices.querySelectorAll('input')) choice.checked = choice.value === light;
  });
}
