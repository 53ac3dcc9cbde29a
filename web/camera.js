// The driver's camera and microphone.

import { cameraFailure, pageInsecure } from './failures.js';

/**
 * @typedef {object} Wish
 * @property {string} camera  device id, "" for the default
 * @property {string} microphone
 */

/**
 * Open the camera, and the microphone where there is one. Throws `Failure` when there is no camera.
 *
 * @param {Wish} wish
 * @returns {Promise<{stream: MediaStream, silent: boolean}>} silent: there is no microphone in it
 */
export async function openCamera(wish) {
  if (!navigator.mediaDevices) throw pageInsecure();
  /** @type {MediaTrackConstraints} */
  const video = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30, max: 30 } };
  if (wish.camera) video.deviceId = { exact: wish.camera };
  else video.facingMode = 'user';
  /** @type {MediaTrackConstraints} */
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  if (wish.microphone) audio.deviceId = { exact: wish.microphone };
  try {
    return { stream: await navigator.mediaDevices.getUserMedia({ video, audio }), silent: false };
  } catch {
    // The error doesn't tell which of the two is at fault: a missing microphone must not cost the picture.
  }
  try {
    return { stream: await navigator.mediaDevices.getUserMedia({ video }), silent: true };
  } catch (error) {
    throw cameraFailure(error);
  }
}

/** @param {MediaStream | null} stream */
export function closeCamera(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/**
 * Fill a picker with the devices of a kind; the present choice stays while its device is there.
 *
 * @param {HTMLSelectElement} picker
 * @param {MediaDeviceInfo[]} devices
 * @param {'videoinput' | 'audioinput'} kind
 */
export function offerDevices(picker, devices, kind) {
  const what = kind === 'videoinput' ? 'camera' : 'microphone';
  const found = devices.filter((device) => device.kind === kind && device.deviceId);
  const chosen = picker.value;
  picker.replaceChildren(
    new Option(`Default ${what}`, ''),
    ...found.map((device, i) => new Option(device.label || `${what} ${i + 1}`, device.deviceId)),
  );
  if (found.some(({ deviceId }) => deviceId === chosen)) picker.value = chosen;
}
