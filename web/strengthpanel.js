// How much of the driver gets through: mode and strengths.

import { part } from './dom.js';
import { share } from './sliders.js';

/** @param {import('./controls.js').ControlState} controls */
export function strengthPanel(controls) {
  const modes = part('mode', HTMLFieldSetElement);
  modes.addEventListener('change', (event) => {
    if (event.target instanceof HTMLInputElement) controls.edit({ mode: event.target.value });
  });
  const head = share('Head', 'Head strength', 2, (value) => controls.edit({ head_strength: value }));
  const expression = share('Expression', 'Expression strength', 2, (value) =>
    controls.edit({ expression_strength: value }),
  );
  part('strengths', HTMLElement).append(expression.element, head.element);
  controls.watch((value) => {
    for (const mode of modes.querySelectorAll('input')) mode.checked = mode.value === value.mode;
    head.set(value.head_strength);
    expression.set(value.expression_strength);
  });
}
