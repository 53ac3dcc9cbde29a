// Files dropped anywhere on the page, or pasted: a picture becomes the portrait, a clip drives.

import { part } from './dom.js';

/**
 * @param {object} options
 * @param {(photo: File) => void} options.onphoto
 * @param {(clip: File) => void} options.onclip
 * @param {(text: string) => void} options.onother
 */
export function acceptFiles({ onphoto, onclip, onother }) {
  const overlay = part('drop', HTMLElement);
  const take = (/** @type {FileList | undefined} */ files) => {
    const file = files?.[0];
    if (!file || document.querySelector('dialog[open]')) return;
    if (file.type.startsWith('image/')) onphoto(file);
    else if (file.type.startsWith('video/')) onclip(file);
    else onother(`“${file.name}” is neither a picture nor a clip.`);
  };
  // Entering a child leaves its parent: count, so that the overlay stays while the pointer moves.
  let depth = 0;
  const carriesFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files') ?? false;
  document.addEventListener('dragenter', (event) => {
    if (!carriesFiles(event)) return;
    depth += 1;
    overlay.hidden = false;
  });
  document.addEventListener('dragleave', (event) => {
    if (!carriesFiles(event)) return;
    depth = Math.max(0, depth - 1);
    overlay.hidden = depth === 0;
  });
  document.addEventListener('dragover', (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  document.addEventListener('drop', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    overlay.hidden = true;
    take(event.dataTransfer?.files);
  });
  document.addEventListener('paste', (event) => take(event.clipboardData?.files));
}
