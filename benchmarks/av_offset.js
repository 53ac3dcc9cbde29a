// Plays the stream of a session over WHEP, and notes when flashes are shown and beeps are heard.
async ({ base, seconds, warmup }) => {
  const pc = new RTCPeerConnection();
  const stream = new MediaStream();
  pc.ontrack = ({ track, receiver }) => {
    receiver.jitterBufferTarget = 0; // as mien's own page does
    stream.addTrack(track);
  };
  for (const kind of ["video", "audio"]) pc.addTransceiver(kind, { direction: "recvonly" });
  await pc.setLocalDescription();
  await new Promise((done) => {
    if (pc.iceGatheringState === "complete") return done();
    pc.addEventListener("icegatheringstatechange", () => pc.iceGatheringState === "complete" && done());
    setTimeout(done, 1500);
  });
  const response = await fetch(base + "/whep/main", {
    method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp,
  });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });

  const video = document.createElement("video");
  video.autoplay = true;
  video.srcObject = stream;
  document.body.append(video);
  await video.play();

  // What is shown: when the screen is going to show each frame.
  const canvas = new OffscreenCanvas(8, 8);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const flashes = [];
  let white = true, last = 0;
  const look = (now, { expectedDisplayTime, rtpTimestamp }) => {
    context.drawImage(video, 0, 0, 8, 8);
    const level = context.getImageData(4, 4, 1, 1).data[1];
    // With how long after the picture before it was captured: whoever missed that one missed the flash's beginning, too.
    if (level > 128 && !white) flashes.push([expectedDisplayTime, ((rtpTimestamp - last) >>> 0) / 90]);
    white = level > 128;
    last = rtpTimestamp;
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);

  // What is heard, to the sample: when it is handed to the audio device, and that device's latency, which players
  // reckon with, less the buffer that only an AudioContext has. A context's time is that of the block that is being made, so it runs in steps and is never early: the
  // highest of many comparisons with the page's clock tells the difference.
  const audio = new AudioContext({ latencyHint: "interactive" });
  await audio.resume();
  const code = `registerProcessor("onsets", class extends AudioWorkletProcessor {
    constructor() { super(); this.silent = 0; }
    process([[channel]]) {
      for (let i = 0; channel && i < channel.length; i++) {
        if (Math.abs(channel[i]) > 0.1) {
          if (this.silent > sampleRate / 10) this.port.postMessage(currentTime + i / sampleRate);
          this.silent = 0;
        } else this.silent++;
      }
      return true;
    }
  });`;
  await audio.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const onsets = new AudioWorkletNode(audio, "onsets");
  const beeps = [];
  onsets.port.onmessage = ({ data: heard }) => beeps.push(heard * 1000);
  const clocks = [];
  setInterval(() => clocks.push([audio.currentTime * 1000, audio.currentTime * 1000 - performance.now()]), 7);
  const onPage = (heard) => {
    const ahead = clocks.filter(([at]) => Math.abs(at - heard) < 1000).map(([, by]) => by);
    return heard - Math.max(...ahead) + Math.max(audio.outputLatency - audio.baseLatency, 0) * 1000;
  };
  audio.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(onsets);
  const quiet = new GainNode(audio, { gain: 0 });
  onsets.connect(quiet).connect(audio.destination);

  // Both jitter buffers begin with what came while the page was busy, and take seconds to get rid of it.
  const waits = async () => {
    const found = {};
    for (const report of (await pc.getStats()).values())
      if (report.type === "inbound-rtp") found[report.kind] = [report.jitterBufferDelay, report.jitterBufferEmittedCount];
    return found;
  };
  const settling = [];
  for (let before = await waits(), calm = 0, n = 0; n < 30 && (n < warmup || calm < 3); n++) {
    await new Promise((r) => setTimeout(r, 1000));
    const after = await waits();
    const ms = ["audio", "video"].map((kind) =>
      (1000 * (after[kind][0] - before[kind][0])) / Math.max(1, after[kind][1] - before[kind][1]));
    const last = settling.at(-1);
    calm = last && ms.every((value, i) => Math.abs(value - last[i]) < 10) ? calm + 1 : 0;
    settling.push(ms);
    before = after;
  }
  flashes.length = beeps.length = 0;
  // How far apart Chromium keeps the two itself: which moments of either stream it plays just now, by the sender's
  // reports. It corrects by steps, and nothing below 30 ms.
  const player = [];
  for (let n = 0; n < seconds * 4; n++) {
    await new Promise((r) => setTimeout(r, 250));
    const playing = {};
    for (const report of (await pc.getStats()).values())
      if (report.type === "inbound-rtp") playing[report.kind] = report.estimatedPlayoutTimestamp;
    if (playing.video && playing.audio) player.push([performance.now(), playing.video - playing.audio]);
  }
  pc.close();
  return { flashes, beeps: beeps.map(onPage), player, settling, output_latency_ms: audio.outputLatency * 1000 };
}
