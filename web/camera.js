// The cameras and microphones of this computer.

import { deviceFailure, isHeld, pageInsecure } from './failures.js';

/**
 * @typedef {object} Wish
 * @property {string} camera  device id, "" for the default
 * @property {string | null} microphone  the same; null: none is wanted
 */

const RELEASE_MS = 500;

/**
 * Open the camera, and the microphone where there is one. Throws `Failure` when there is no camera.
 *
 * @param {Wish} wish
 * @returns {Promise<MediaStream>} without sound when there is no microphone
 */
export async function openCamera({ camera, microphone }) {
  const devices = mediaDevices('camera');
  /** @type {MediaTrackConstraints} */
  const video = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30, max: 30 } };
  if (camera) video.deviceId = { exact: camera };
  else video.facingMode = 'user';
  if (microphone !== null) {
    try {
      return await granted(devices, { video, audio: audioConstraints(microphone) });
    } catch {
      // The error doesn't tell which of the two is at fault: a missing microphone must not cost the picture.
    }
  }
  try {
    return await granted(devices, { video });
  } catch (error) {
    throw deviceFailure('camera', error);
  }
}

/**
 * Open a microphone. Throws `Failure`.
 *
 * @param {string} microphone  device id, "" for the default
 * @returns {Promise<MediaStreamTrack>}
 */
export async function openMicrophone(microphone) {
  const devices = mediaDevices('microphone');
  try {
    const stream = await granted(devices, { audio: audioConstraints(microphone) });
    return /** @type {MediaStreamTrack} */ (stream.getAudioTracks()[0]);
  } catch (error) {
    throw deviceFailure('microphone', error);
  }
}

/** @param {import('./failures.js').Device} device */
function mediaDevices(device) {
  if (!navigator.mediaDevices) throw pageInsecure(device);
  return navigator.mediaDevices;
}

/**
 * What was closed a moment ago the system may still hold: then it is asked for once more.
 *
 * @param {MediaDevices} devices
 * @param {MediaStreamConstraints} wish
 */
async function granted(devices, wish) {
  try {
    return await devices.getUserMedia(wish);
  } catch (error) {
    if (!isHeld(error)) throw error;
    await new Promise((resolve) => setTimeout(resolve, RELEASE_MS));
    return devices.getUserMedia(wish);
  }
}

/**
 * With what keeps the avatar from hearing itself.
 *
 * @param {string} microphone
 * @returns {MediaTrackConstraints}
 */
function audioConstraints(microphone) {
  const clean = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  return microphone ? { ...clean, deviceId: { exact: microphone } } : clean;
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
