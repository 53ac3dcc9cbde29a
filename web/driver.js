// Who drives: my camera and microphone, or a clip.

import { ask } from './api.js';
import { sessionPath } from './address.js';
import { closeCamera, offerDevices, openCamera } from './camera.js';
import { part, say } from './dom.js';
import { asFailure } from './failures.js';
import { Publisher } from './whip.js';

/** @typedef {import('./notices.js').Notices} Notices */
/** @typedef {import('./keeper.js').Link} Link */

const CLIP_PATIENCE_MS = 120_000;

export class Driver {
  /** @type {MediaStream | null} */
  #stream = null;
  #opening = false;
  #microphoneOn = true;
  #complained = '';

  #button = part('camera', HTMLButtonElement);
  #label = part('camera-label', HTMLElement);
  #preview = part('preview', HTMLElement);
  #self = part('self', HTMLVideoElement);
  #microphone = part('microphone', HTMLButtonElement);
  #cameraPicker = part('camera-picker', HTMLSelectElement);
  #microphonePicker = part('microphone-picker', HTMLSelectElement);
  #sending = part('sending', HTMLElement);
  #clipFile = part('clip-file', HTMLInputElement);
  #clipButton = part('clip', HTMLButtonElement);
  #release = part('release', HTMLButtonElement);

  /**
   * @param {object} options
   * @param {Notices} options.notices
   * @param {() => void} options.onchange  my camera was switched on or off
   * @param {() => boolean} options.release  sends the order to go back to the configured driver
   */
  constructor({ notices, onchange, release }) {
    this.notices = notices;
    this.onchange = onchange;
    this.publisher = new Publisher({
      onlink: (link) => this.#showLink(link),
      onsent: ({ fps, width, height, codec, limited }) => {
        const why =
          limited === 'none' ? '' : `, limited by ${limited === 'cpu' ? 'this computer’s processor' : limited}`;
        if (width) say(this.#sending, `Sending ${width}×${height} at ${Math.round(fps)} fps, ${codec}${why}`);
      },
    });
    this.#button.addEventListener('click', () => void this.toggle());
    this.#microphone.addEventListener('click', () => this.#toggleMicrophone());
    for (const picker of [this.#cameraPicker, this.#microphonePicker]) {
      picker.addEventListener('change', () => void this.#reopen());
    }
    navigator.mediaDevices?.addEventListener('devicechange', () => void this.#listDevices());
    void this.#listDevices();
    this.#clipButton.addEventListener('click', () => this.#clipFile.click());
    this.#clipFile.addEventListener('change', () => {
      const [file] = this.#clipFile.files ?? [];
      if (file) void this.useClip(file);
      this.#clipFile.value = '';
    });
    this.#release.addEventListener('click', () => {
      if (release()) this.#release.hidden = true;
    });
  }

  /** My camera is on. */
  get on() {
    return this.#stream !== null;
  }

  async toggle() {
    if (this.#opening) return;
    if (this.#stream) this.stop();
    else await this.#start();
  }

  async #start() {
    this.#opening = true;
    say(this.#label, 'Asking for the camera…');
    try {
      const stream = await this.#open();
      this.#take(stream);
      this.#complained = '';
      this.publisher.start(stream);
    } catch (error) {
      this.notices.fail(asFailure(error));
    } finally {
      this.#opening = false;
      this.#show();
      this.onchange();
    }
  }

  stop() {
    this.publisher.stop();
    closeCamera(this.#stream);
    this.#stream = null;
    this.#self.srcObject = null;
    say(this.#sending, '');
    this.#show();
    this.onchange();
  }

  /** Leave at once: the page goes away. */
  leave() {
    if (this.#stream) this.stop();
  }

  #open() {
    return openCamera({ camera: this.#cameraPicker.value, microphone: this.#microphonePicker.value });
  }

  /** @param {MediaStream} stream */
  #take(stream) {
    closeCamera(this.#stream);
    this.#stream = stream;
    this.#self.srcObject = stream;
    for (const track of stream.getAudioTracks()) track.enabled = this.#microphoneOn;
    stream.getVideoTracks()[0]?.addEventListener('ended', () => {
      if (this.#stream !== stream) return;
      this.stop();
      this.notices.show('error', 'The camera went away. Plug it in again, then press “Use my camera”.');
    });
    if (!stream.getAudioTracks().length) {
      this.notices.show('warning', 'No microphone: the picture goes out without your voice.');
    }
    void this.#listDevices(); // they have names once one of them was allowed
  }

  async #reopen() {
    if (!this.#stream) return;
    try {
      const stream = await this.#open();
      if (!this.#stream) {
        closeCamera(stream); // my camera was switched off meanwhile
        return;
      }
      this.#take(stream);
      await this.publisher.swap(stream);
    } catch (error) {
      this.notices.fail(asFailure(error));
    }
    this.#show();
  }

  #toggleMicrophone() {
    this.#microphoneOn = !this.#microphoneOn;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = this.#microphoneOn;
    this.#show();
  }

  async #listDevices() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    offerDevices(this.#cameraPicker, devices, 'videoinput');
    offerDevices(this.#microphonePicker, devices, 'audioinput');
  }

  #show() {
    const on = this.on;
    say(this.#label, on ? 'Stop my camera' : 'Use my camera');
    this.#button.classList.toggle('on', on);
    this.#preview.hidden = !on;
    const audible = this.#microphoneOn && (this.#stream?.getAudioTracks().length ?? 0) > 0;
    this.#microphone.setAttribute('aria-pressed', String(audible));
    this.#microphone.setAttribute(
      'aria-label',
      audible ? 'Microphone is on; switch it off' : 'Microphone is off; switch it on',
    );
    this.#microphone.disabled = on && this.#stream?.getAudioTracks().length === 0;
    this.#microphone.querySelector('use')?.setAttribute('href', audible ? '#i-mic' : '#i-mic-off');
  }

  /** @param {Link} link */
  #showLink(link) {
    this.#preview.dataset['link'] = link.phase;
    if (link.phase === 'open') this.#complained = '';
    if (link.phase === 'connecting') say(this.#sending, 'Connecting your camera…');
    if (link.phase !== 'failed') return;
    say(this.#sending, link.failure.title);
    // Once for each kind: the retries would fill the picture with the same words.
    if (this.#complained === link.failure.kind) return;
    this.#complained = link.failure.kind;
    this.notices.fail(link.failure);
    if (link.retryMs === null) this.stop();
  }

  /**
   * Let a clip drive.
   *
   * @param {File} file
   */
  async useClip(file) {
    if (this.on) this.stop();
    const form = new FormData();
    form.append('clip', file);
    this.#clipButton.disabled = true;
    this.notices.show('info', `Sending “${file.name}”…`);
    try {
      await ask(sessionPath('clip'), { method: 'POST', body: form, patienceMs: CLIP_PATIENCE_MS });
      this.notices.show('info', `“${file.name}” takes over.`);
      this.#release.hidden = false;
    } catch (error) {
      this.notices.fail(asFailure(error));
    } finally {
      this.#clipButton.disabled = false;
    }
  }
}
