// Wires the page together; everything with a subject of its own lives in its own module.

import { controlAddress, retakeToken, session } from './address.js';
import { alivePanel } from './alivepanel.js';
import { ask, ensureSession } from './api.js';
import { backgroundPanel } from './background.js';
import { Calibration } from './calibration.js';
import { choice } from './choice.js';
import { Composer } from './composer.js';
import { ControlSocket } from './control.js';
import { ControlState } from './controls.js';
import { part, say } from './dom.js';
import { Driver } from './driver.js';
import { acceptFiles } from './drop.js';
import { EmotionPanel } from './emotionpanel.js';
import { FacePanel } from './facepanel.js';
import { asFailure } from './failures.js';
import { listenForKeys } from './keys.js';
import { lightPanel } from './lightpanel.js';
import { Notices } from './notices.js';
import { Portrait } from './portrait.js';
import { posePanel } from './posepanel.js';
import { Recorder } from './record.js';
import { Stage } from './stage.js';
import { driverName, shownState } from './state.js';
import { strengthPanel } from './strengthpanel.js';
import { tabs } from './tabs.js';
import { Timing } from './timing.js';
import { Voice } from './voice.js';
import { Player } from './whep.js';

/** @typedef {import('./keeper.js').Link} Link */
/** @typedef {import('./control.js').Action} Action */
/** @typedef {import('./control.js').Message} Message */

const ORDERS_LOST = 'Not connected to the engine: that was not sent.';

const notices = new Notices(part('notices', HTMLElement));
const timing = new Timing();
const openTab = tabs(part('tabs', HTMLElement));

/** What the page knows; `shownState` makes one answer of it. */
const facts = {
  picture: /** @type {Link} */ ({ phase: 'closed' }),
  control: /** @type {Link} */ ({ phase: 'closed' }),
  snapshot: /** @type {import('./control.js').Snapshot | null} */ (null),
  mine: false,
  trouble: '',
};

const controls = new ControlState((patch) => {
  if (!control.set(patch)) notices.show('error', ORDERS_LOST);
});

const control = new ControlSocket({
  address: controlAddress,
  onlink: (link) => {
    facts.control = link;
    document.documentElement.toggleAttribute('data-deaf', link.phase !== 'open');
    if (link.phase === 'failed') {
      facts.snapshot = null;
      controls.forget();
      void checkEngine();
    }
    if (link.phase === 'open') player.retry(); // the engine is back: so will be the picture
    show();
  },
  onmessage: take,
});

const stage = new Stage(() => {
  player.retry();
  control.retry();
});

const player = new Player({
  path: Composer.path,
  video: stage.video,
  prepare: async (signal) => {
    await ensureSession(signal);
    control.start();
    control.retry();
  },
  onlink: (link) => {
    facts.picture = link;
    stage.showLink(link);
    if (link.phase !== 'open') timing.seen(null);
    show();
  },
  onseen: (seen) => timing.seen(seen),
});

const driver = new Driver({
  notices,
  onchange: () => {
    facts.mine = driver.on;
    show();
  },
  release: () => order('release'),
});

const portrait = new Portrait(notices);
const emotions = new EmotionPanel(controls);
const face = new FacePanel(controls);
const recorder = new Recorder(order, notices);
const calibration = new Calibration({
  order: () => order('calibrate'),
  state: () => facts.snapshot?.state ?? '',
  notices,
});
new Voice(notices, controls);
posePanel(controls);
strengthPanel(controls);
alivePanel(controls);
backgroundPanel(controls, notices);
lightPanel(controls);
choice('shape', controls, 'aspect');

/** @param {Message} message */
function take(message) {
  switch (message.type) {
    case 'hello':
      face.offer(message.expressions);
      emotions.offer(message.emotions ?? []);
      controls.receive(message.controls);
      portrait.show(message.avatar?.title ?? '');
      recorder.show(message.snapshot.recording === true);
      facts.snapshot = message.snapshot;
      stage.composer.expect(message.snapshot.picture);
      break;
    case 'stats':
      facts.snapshot = message.snapshot;
      stage.composer.expect(message.snapshot.picture);
      timing.add(message.snapshot);
      break;
    case 'controls':
      controls.receive(message.controls);
      break;
    case 'notice':
      if (message.level !== 'info') facts.trouble = message.text;
      notices.show(message.level, message.text);
      break;
    case 'recording':
      recorder.show(message.state === 'on');
      if (message.state === 'off') recorder.ended(message);
      break;
    case 'avatar':
      portrait.show(message.title);
      break;
  }
  show();
}

function show() {
  stage.showState(shownState(facts));
  if (facts.snapshot) say(part('source', HTMLElement), driverName(facts.snapshot, facts.mine) || 'nobody');
}

/** @param {Action} action */
function order(action) {
  const sent = control.do(action);
  if (!sent) notices.show('error', ORDERS_LOST);
  return sent;
}

/** The control socket broke: when the engine is gone, say so now and not when the video notices. */
async function checkEngine() {
  if (facts.picture.phase !== 'open') return;
  try {
    await ask('/api/status', { patienceMs: 2000 });
  } catch (error) {
    player.restart(asFailure(error));
  }
}

const pauseButton = part('pause', HTMLButtonElement);
const mirrorButton = part('mirror', HTMLButtonElement);
const pause = () => controls.edit({ paused: !controls.value.paused });
const mirror = () => controls.edit({ mirror: !controls.value.mirror });
const recentre = () => {
  if (order('recentre')) notices.show('info', 'Recentred: this is straight ahead now.');
};
pauseButton.addEventListener('click', pause);
part('resume', HTMLButtonElement).addEventListener('click', pause);
mirrorButton.addEventListener('click', mirror);
part('recentre', HTMLButtonElement).addEventListener('click', recentre);
controls.watch(({ paused, mirror: mirrored }) => {
  pauseButton.setAttribute('aria-pressed', String(paused));
  pauseButton.querySelector('use')?.setAttribute('href', paused ? '#i-resume' : '#i-pause');
  say(part('pause-label', HTMLElement), paused ? 'Resume' : 'Pause');
  mirrorButton.setAttribute('aria-pressed', String(mirrored));
});

const help = part('help-dialog', HTMLDialogElement);
part('help', HTMLButtonElement).addEventListener('click', () => help.showModal());
part('help-close', HTMLButtonElement).addEventListener('click', () => help.close());

const grow = part('grow', HTMLButtonElement);
grow.addEventListener('click', () => {
  const grown = document.documentElement.toggleAttribute('data-grown');
  grow.setAttribute('aria-expanded', String(grown));
});

listenForKeys({
  pause,
  recentre,
  calibrate: () => void calibration.start(),
  mirror,
  record: () => recorder.toggle(),
  sound: () => stage.toggleSound(),
  camera: () => void driver.toggle(),
  fullscreen: () => stage.toggleFullscreen(),
  search: () => {
    openTab('face');
    face.search.focus();
  },
  help: () => help.showModal(),
});

acceptFiles({
  onphoto: (photo) => portrait.offer(photo),
  onclip: (clip) => void driver.useClip(clip),
  onother: (text) => notices.show('warning', text),
});

if (session !== 'main') say(part('session', HTMLElement), `session ${session}`);
addEventListener('pagehide', () => {
  driver.leave();
  player.stop();
  control.stop();
});
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) player.start();
});
addEventListener('online', () => player.retry());
addEventListener('hashchange', () => {
  retakeToken();
  player.retry();
});
player.start();
