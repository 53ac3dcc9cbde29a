// How much of the driver gets through: mode and strengths.

import { part } from './dom.js';
import { labelled } from './sliders.js';

/** @param {import('./controls.js').ControlState} controls */
export function strengthPanel(controls) {
  const modes = part('mode', HTMLFieldSetElement);
  modes.addEventListener('change', (event) => {
    if (event.target instanceof HTMLInputElement) controls.edit({ mode: event.target.value });
  });
  const strength = (/** @type {string} */ label, /** @type {'head_strength' | 'expression_strength'} */ key) =>
    labelled(label, {
      name: `${label} strength`,
      min: 0,
      max: 2,
      step: 0.05,
      neutral: 1,
      format: (value) => `${Math.round(value * 100)} %`,
      onedit: (value) => controls.edit({ [key]: value }),
    });
  const head = strength('Head', 'head_strength');
  const expression = strength('Expression', 'expression_strength');
  part('strengths', HTMLElement).append(expression.element, head.element);
  controls.watch((value) => {
    for (const mode of modes.querySelectorAll('input')) mode.checked = mode.value === value.mode;
    head.set(value.head_strength);
    expression.set(value.expression_strength);
  });
}
