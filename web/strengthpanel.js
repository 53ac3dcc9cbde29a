// How much of the driver gets through: mode and strengths.

import { choice } from './choice.js';
import { part } from './dom.js';
import { share } from './sliders.js';

/** @param {import('./controls.js').ControlState} controls */
export function strengthPanel(controls) {
  choice('mode', controls, 'mode');
  const head = share('Head', 'Head strength', 2, (value) => controls.edit({ head_strength: value }));
  const expression = share('Expression', 'Expression strength', 2, (value) =>
    controls.edit({ expression_strength: value }),
  );
  part('strengths', HTMLElement).append(expression.element, head.element);
  controls.watch((value) => {
    head.set(value.head_strength);
    expression.set(value.expression_strength);
  });
}
