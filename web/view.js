// The picture alone, transparent where the session's background is: a browser source for OBS and its like.
// Nothing is said in words; while there is no connection there is no picture, and it tries again.

import { sessionAddress } from './address.js';
import { ask, ensureSession } from './api.js';
import { Composer } from './composer.js';
import { part } from './dom.js';
import { Player } from './whep.js';

const video = part('picture', HTMLVideoElement);
const composer = new Composer(video, part('composed', HTMLCanvasElement), (_, transparent) => {
  document.body.toggleAttribute('data-transparent', transparent);
});

const player = new Player({
  path: Composer.path,
  video,
  prepare: async (signal) => {
    await ensureSession(signal);
    composer.expect((await (await ask(sessionAddress, { signal })).json()).picture);
  },
  onlink: ({ phase }) => {
    document.body.toggleAttribute('data-open', phase === 'open');
    if (phase === 'open' && new URLSearchParams(location.search).has('sound')) void unmute();
  },
  onseen: () => {},
});

/** With `?sound`: OBS lets a page play sound, browsers want a click first and stay silent. */
async function unmute() {
  video.muted = false;
  try {
    await video.play();
  } catch {
    video.muted = true;
    await video.play();
  }
}

addEventListener('pagehide', () => player.stop());
addEventListener('online', () => player.retry());
player.start();
