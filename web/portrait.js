// A new portrait: from a file, dropped, pasted, or taken with my camera; never without a ticked consent.

import { ask } from './api.js';
import { sessionPath, withToken } from './address.js';
import { closeCamera, openCamera } from './camera.js';
import { part, say } from './dom.js';
import { asFailure } from './failures.js';

const MAKE_PATIENCE_MS = 120_000;
const QUALITY = 0.95;

const SELF = 'I am the person in this picture, and I agree to it being animated here.';
const WRITTEN = 'The person in this picture gave me written permission to animate it here.';

export class Portrait {
  /** @type {Blob | null} */
  #photo = null;
  /** @type {MediaStream | null} */
  #stream = null;
  #busy = false;
  /** Grows whenever the dialog is closed. */
  #visit = 0;
  #version = 0;

  #dialog = part('portrait-dialog', HTMLDialogElement);
  #form = part('portrait-form', HTMLFormElement);
  #shoot = part('portrait-shoot', HTMLElement);
  #finder = part('portrait-finder', HTMLVideoElement);
  #preview = part('portrait-preview', HTMLImageElement);
  #who = part('portrait-who', HTMLInputElement);
  #whoField = part('portrait-who-field', HTMLElement);
  #consent = part('portrait-consent', HTMLInputElement);
  #statement = part('portrait-statement', HTMLElement);
  #accept = part('portrait-accept', HTMLButtonElement);
  #error = part('portrait-error', HTMLElement);
  #file = part('portrait-file', HTMLInputElement);
  #thumbnail = part('avatar-thumbnail', HTMLImageElement);
  #title = part('avatar-title', HTMLElement);

  /** @param {import('./notices.js').Notices} notices */
  constructor(notices) {
    this.notices = notices;
    part('portrait-choose', HTMLButtonElement).addEventListener('click', () => this.#file.click());
    part('portrait-take', HTMLButtonElement).addEventListener('click', () => void this.#aim());
    part('portrait-shutter', HTMLButtonElement).addEventListener('click', () => void this.#take());
    part('portrait-again', HTMLButtonElement).addEventListener('click', () => void this.#aim());
    for (const button of this.#dialog.querySelectorAll('[data-close]')) {
      button.addEventListener('click', () => this.#dialog.close());
    }
    this.#file.addEventListener('change', () => {
      const [file] = this.#file.files ?? [];
      if (file) this.offer(file);
      this.#file.value = '';
    });
    this.#form.addEventListener('input', () => this.#judge());
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.#dialog.addEventListener('close', () => this.#forget());
    this.#dialog.addEventListener('cancel', (event) => {
      if (this.#busy) event.preventDefault();
    });
    this.#preview.addEventListener('error', () => {
      if (!this.#photo) return;
      this.#preview.hidden = true;
      this.#complain('This browser cannot show that file. If it is no picture, choose another one.');
    });
    this.#thumbnail.addEventListener('error', () => {
      this.#thumbnail.hidden = true;
    });
    this.#thumbnail.addEventListener('load', () => {
      this.#thumbnail.hidden = false;
    });
  }

  /**
   * Show which portrait the engine animates now.
   *
   * @param {string} title
   */
  show(title) {
    say(this.#title, title || 'No portrait yet');
    this.#version += 1;
    this.#thumbnail.src = withToken(`${sessionPath('avatar.jpg')}?v=${this.#version}`);
  }

  /**
   * Ask for consent to animate this picture.
   *
   * @param {Blob} photo
   * @param {boolean} [taken]  with my own camera just now
   */
  offer(photo, taken = false) {
    this.#leaveCamera();
    this.#photo = photo;
    URL.revokeObjectURL(this.#preview.src);
    this.#preview.src = URL.createObjectURL(photo);
    this.#preview.hidden = false;
    this.#form.reset();
    part('portrait-again', HTMLButtonElement).hidden = !taken;
    this.#step('consent');
    this.#judge();
  }

  /** @param {'shoot' | 'consent'} step */
  #step(step) {
    this.#shoot.hidden = step !== 'shoot';
    this.#form.hidden = step !== 'consent';
    this.#error.hidden = true;
    if (!this.#dialog.open) this.#dialog.showModal();
    (step === 'shoot'
      ? part('portrait-shutter', HTMLButtonElement)
      : part('portrait-basis-self', HTMLInputElement)
    ).focus();
  }

  async #aim() {
    try {
      const camera = part('camera-picker', HTMLSelectElement).value;
      const visit = this.#visit;
      const stream = await openCamera({ camera, microphone: null });
      if (visit !== this.#visit) {
        closeCamera(stream); // the dialog was closed meanwhile
        return;
      }
      this.#leaveCamera(); // asked for twice, there are two
      this.#stream = stream;
      this.#finder.srcObject = stream;
      this.#step('shoot');
    } catch (error) {
      this.notices.fail(asFailure(error));
    }
  }

  async #take() {
    const { videoWidth: width, videoHeight: height } = this.#finder;
    if (!width) return;
    const canvas = new OffscreenCanvas(width, height);
    // The viewfinder is a mirror; the picture is not.
    canvas.getContext('2d')?.drawImage(this.#finder, 0, 0);
    this.offer(await canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY }), true);
  }

  /** The button stays shut until everything is said. */
  #judge() {
    const basis = String(new FormData(this.#form).get('basis') ?? '');
    const written = basis === 'document';
    this.#whoField.hidden = !written;
    say(this.#statement, written ? WRITTEN : SELF);
    const said = basis === 'self' || (written && this.#who.value.trim().length > 1);
    this.#consent.disabled = !basis;
    this.#accept.disabled = this.#busy || !said || !this.#consent.checked;
  }

  async #send() {
    if (!this.#photo || this.#busy) return;
    const written = new FormData(this.#form).get('basis') === 'document';
    const form = new FormData();
    form.append('photo', this.#photo, this.#photo instanceof File ? this.#photo.name : 'camera.jpg');
    form.append('consent', 'true');
    form.append('basis', written ? 'document' : 'self');
    form.append('holder', written ? this.#who.value.trim() : '');
    form.append('statement', written ? `${WRITTEN} Person: ${this.#who.value.trim()}.` : SELF);
    this.#working(true);
    try {
      const made = await (
        await ask(sessionPath('avatar'), { method: 'POST', body: form, patienceMs: MAKE_PATIENCE_MS })
      ).json();
      this.#working(false);
      this.#dialog.close();
      this.show(String(made.title ?? ''));
      this.notices.show('info', 'The new portrait is on.');
    } catch (error) {
      this.#working(false);
      this.#complain(String(asFailure(error)));
    }
  }

  /** @param {string} text */
  #complain(text) {
    say(this.#error, text);
    this.#error.hidden = false;
  }

  /** @param {boolean} busy */
  #working(busy) {
    this.#busy = busy;
    this.#error.hidden = true;
    this.#form.setAttribute('aria-busy', String(busy));
    say(this.#accept, busy ? 'Making the avatar…' : 'Animate this picture');
    this.#judge();
  }

  #leaveCamera() {
    closeCamera(this.#stream);
    this.#stream = null;
    this.#finder.srcObject = null;
  }

  #forget() {
    this.#visit += 1;
    this.#leaveCamera();
    URL.revokeObjectURL(this.#preview.src);
    this.#preview.removeAttribute('src');
    this.#photo = null;
  }
}
