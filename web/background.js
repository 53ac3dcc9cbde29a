// What stands behind the person.

import { ask } from './api.js';
import { sessionPath } from './address.js';
import { part } from './dom.js';
import { asFailure } from './failures.js';

/**
 * @param {import('./controls.js').ControlState} controls
 * @param {import('./notices.js').Notices} notices
 */
export function backgroundPanel(controls, notices) {
  const choices = part('background', HTMLFieldSetElement);
  const colour = part('background-colour', HTMLInputElement);
  const colourField = part('background-colour-field', HTMLElement);
  const file = part('background-file', HTMLInputElement);
  const change = part('background-change', HTMLButtonElement);
  const transparency = part('background-transparent', HTMLElement);
  let hasImage = false;

  choices.addEventListener('change', (event) => {
    const mode = event.target instanceof HTMLInputElement ? event.target.value : 'keep';
    if (mode !== 'image' || hasImage) {
      controls.edit({ background: { mode } });
      return;
    }
    show(controls.value); // it is chosen once a picture is there
    file.click();
  });
  change.addEventListener('click', () => file.click());
  colour.addEventListener('input', () => controls.edit({ background: { colour: colour.value } }));
  part('view-link', HTMLAnchorElement).search = location.search;
  file.addEventListener('change', async () => {
    const [image] = file.files ?? [];
    file.value = '';
    if (!image) return;
    const form = new FormData();
    form.append('image', image);
    try {
      await ask(sessionPath('background'), { method: 'POST', body: form, patienceMs: 30_000 });
      hasImage = true;
      controls.edit({ background: { mode: 'image' } });
    } catch (error) {
      notices.fail(asFailure(error));
    }
  });

  /** @param {import('./controls.js').Controls} value */
  function show({ background }) {
    for (const choice of choices.querySelectorAll('input')) choice.checked = choice.value === background.mode;
    colourField.hidden = background.mode !== 'colour' && background.mode !== 'transparent';
    transparency.hidden = background.mode !== 'transparent';
    change.hidden = background.mode !== 'image';
    hasImage ||= background.mode === 'image';
    if (document.activeElement !== colour) colour.value = background.colour;
  }
  controls.watch(show);
}
