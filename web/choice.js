// One of several: a set of radio buttons for one of the session's controls.

import { part } from './dom.js';

/**
 * @param {string} id  of the fieldset; the values of its radio buttons are the control's
 * @param {import('./controls.js').ControlState} controls
 * @param {'mode' | 'light' | 'aspect'} key
 */
export function choice(id, controls, key) {
  const choices = part(id, HTMLFieldSetElement);
  choices.addEventListener('change', (event) => {
    if (event.target instanceof HTMLInputElement) controls.edit({ [key]: event.target.value });
  });
  controls.watch((value) => {
    for (const radio of choices.querySelectorAll('input')) radio.checked = radio.value === value[key];
  });
}
