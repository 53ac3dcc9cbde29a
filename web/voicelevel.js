// How loud a microphone is, in the browser's own hands: nothing of it leaves the page.

const LOWEST_DB = -60;
const FALL_PER_MS = 0.0012;

export class LevelMeter {
  /** @type {AudioContext | null} */
  #context = null;
  #frame = 0;

  /** @param {(level: number) => void} onlevel  0 (silence) to 1 (as loud as can be), at every picture of the screen */
  constructor(onlevel) {
    this.onlevel = onlevel;
  }

  /** @param {MediaStreamTrack} track */
  start(track) {
    this.stop();
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    this.#context = context;
    const samples = new Float32Array(analyser.fftSize);
    let shown = 0;
    let before = performance.now();
    /** @param {number} now */
    const look = (now) => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      const level = Math.max(0, 1 - (10 * Math.log10(power + 1e-12)) / LOWEST_DB);
      shown = Math.max(level, shown - FALL_PER_MS * Math.max(0, now - before)); // up at once, down slowly
      before = now;
      this.onlevel(shown);
      this.#frame = requestAnimationFrame(look);
    };
    this.#frame = requestAnimationFrame(look);
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    void this.#context?.close();
    this.#context = null;
    this.onlevel(0);
  }
}
