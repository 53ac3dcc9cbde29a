// Puts pictures with alpha together: video codecs have no alpha channel, so the engine sends pictures twice as high,
// colours above and alpha as grey below, to who asks for them (plugins/mien_webrtc/looks.py). A shader makes one
// transparent picture of both halves, on a canvas over the video.

import { whepPath } from './address.js';

const VERTEX = `
attribute vec2 corner;
varying vec2 at;
void main() {
  at = vec2(corner.x * 0.5 + 0.5, 0.5 - corner.y * 0.5);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

// The colours go on beyond the person, so that what filters and codecs mix at the edge is the person's own colour;
// they are multiplied by alpha here and not before. Neither half may look over the seam. The ends of alpha are cut
// off: a codec's noise must not be a veil.
const FRAGMENT = `
precision highp float;
uniform sampler2D picture;
uniform float texel;
varying vec2 at;
void main() {
  float y = clamp(at.y * 0.5, 0.5 * texel, 0.5 - 0.5 * texel);
  vec3 colour = texture2D(picture, vec2(at.x, y)).rgb;
  float grey = texture2D(picture, vec2(at.x, y + 0.5)).g;
  float alpha = clamp((grey - 0.03) / 0.94, 0.0, 1.0);
  gl_FragColor = vec4(colour * alpha, alpha);
}`;

/** @typedef {{width: number, height: number}} Size */

export class Composer {
  /** @type {Size | null} */
  #picture = null;
  /** @type {WebGLRenderingContext | null} */
  #gl = null;
  /** @type {WebGLUniformLocation | null} */
  #texel = null;
  #running = false;

  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLCanvasElement} canvas  shown instead of the video while its pictures have alpha
   * @param {(size: Size, transparent: boolean) => void} onshape  the picture's own size, whenever it changes
   */
  constructor(video, canvas, onshape) {
    this.video = video;
    this.canvas = canvas;
    this.onshape = onshape;
    video.addEventListener('resize', () => this.#look());
    canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
    canvas.addEventListener('webglcontextrestored', () => {
      this.#gl = null;
      this.#draw();
    });
  }

  /** Where to ask for the picture: with alpha only if this browser can put it together. */
  static get path() {
    const able = document.createElement('canvas').getContext('webgl') !== null;
    return able ? `${whepPath}?alpha=below` : whepPath;
  }

  /**
   * How large the session's pictures are: one that is twice as high has its alpha below.
   *
   * @param {Size} [size]
   */
  expect(size) {
    if (!size || (size.width === this.#picture?.width && size.height === this.#picture.height)) return;
    this.#picture = size;
    this.#look();
  }

  get #transparent() {
    return this.#picture !== null && this.video.videoHeight === 2 * this.#picture.height;
  }

  #look() {
    const { videoWidth: width, videoHeight } = this.video;
    if (!videoHeight) return;
    const transparent = this.#transparent;
    const height = transparent ? videoHeight / 2 : videoHeight;
    this.canvas.hidden = !transparent;
    this.onshape({ width, height }, transparent);
    if (!transparent) return;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.#draw();
    this.#run();
  }

  /** Draw every frame as it is shown, for as long as there is alpha. */
  #run() {
    if (this.#running) return;
    this.#running = true;
    const step = () => {
      this.#running = this.#transparent;
      if (!this.#running) return;
      this.#draw();
      next();
    };
    const next = () => {
      if ('requestVideoFrameCallback' in this.video) this.video.requestVideoFrameCallback(step);
      else requestAnimationFrame(step);
    };
    next();
  }

  #draw() {
    if (!this.#transparent) return;
    this.#gl ??= this.#open();
    const gl = this.#gl;
    if (!gl || gl.isContextLost()) return;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, this.video);
    gl.uniform1f(this.#texel, 1 / this.video.videoHeight);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  #open() {
    const gl = this.canvas.getContext('webgl', { antialias: false, depth: false });
    if (!gl) return null;
    const program = gl.createProgram();
    for (const [kind, source] of /** @type {const} */ ([
      [gl.VERTEX_SHADER, VERTEX],
      [gl.FRAGMENT_SHADER, FRAGMENT],
    ])) {
      const shader = gl.createShader(kind);
      if (!shader) return null; // the context is lost; it comes back with an event
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(program, 'corner');
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
    for (const way of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_2D, way, gl.LINEAR);
    this.#texel = gl.getUniformLocation(program, 'texel');
    return gl;
  }
}
