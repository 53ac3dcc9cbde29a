// What the face does by itself, while nobody or a voice alone drives.

import { part } from './dom.js';
import { share } from './sliders.js';

/** @typedef {keyof import('./controls.js').Controls['alive']} Habit */

/** @type {{habit: Habit, label: string, name: string}[]} */
const HABITS = [
  { habit: 'blinks', label: 'Blinks', name: 'Blinks of its own' },
  { habit: 'saccades', label: 'Glances', name: 'Glances: small movements of the eyes' },
  { habit: 'nods', label: 'Nods', name: 'Nods on stressed syllables, while a voice drives' },
  { habit: 'breathing', label: 'Breathing', name: 'Breathing' },
];

/** @param {import('./controls.js').ControlState} controls */
export function alivePanel(controls) {
  const sliders = HABITS.map(({ habit, label, name }) => ({
    habit,
    slider: share(label, name, 2, (value) => controls.edit({ alive: { [habit]: value } })),
  }));
  part('alive', HTMLElement).append(...sliders.map(({ slider }) => slider.element));
  controls.watch(({ alive }) => {
    for (const { habit, slider } of sliders) slider.set(alive[habit]);
  });
}
