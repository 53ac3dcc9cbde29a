// Publishes the fake camera over WHIP, plays the avatar over WHEP, and notes when each number is seen on either side.
async ({ base, seconds, warmup, grab }) => {
  const CELLS = 16, BITS = 12;
  const check = (n) => ((n ^ (n >> 4) ^ (n >> 8)) % 15) + 1;
  const decode = (luma, width, rows) => {
    let code = 0;
    const cell = width / CELLS;
    for (let i = 0; i < CELLS; i++) {
      let sum = 0, count = 0;
      for (let y = 4; y < rows - 4; y++)
        for (let x = Math.round(i * cell + cell / 4); x < (i + 1) * cell - cell / 4; x++) { sum += luma[y * width + x]; count++; }
      code = (code << 1) | (sum / count > 128 ? 1 : 0);
    }
    const number = code >> 4;
    return (code & 15) === check(number) ? number : null;
  };
  const gathered = (pc) => new Promise((done) => {
    if (pc.iceGatheringState === "complete") return done();
    const timer = setTimeout(done, 1500);
    pc.addEventListener("icegatheringstatechange", () => {
      if (pc.iceGatheringState === "complete") { clearTimeout(timer); done(); }
    });
  });
  const h264First = (transceiver, kind) => {
    const codecs = RTCRtpReceiver.getCapabilities(kind).codecs;
    transceiver.setCodecPreferences([...codecs].sort((a, b) => b.mimeType.endsWith("H264") - a.mimeType.endsWith("H264")));
  };
  const post = async (pc, path) => {
    await pc.setLocalDescription();
    await gathered(pc);
    const response = await fetch(base + path, {
      method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp,
    });
    if (response.status !== 201) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
  };
  const connected = (pc) => new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error("not connected: " + pc.connectionState)), 15000);
    const look = () => { if (pc.connectionState === "connected") { clearTimeout(timer); done(); } };
    pc.addEventListener("connectionstatechange", look); look();
  });

  // Every decoded frame, read without waiting for the compositor: the sum of what capture, network and codec cost.
  const pictures = grab ? [] : null;
  const keep = async (frame, number) => {
    const canvas = new OffscreenCanvas(frame.displayWidth, frame.displayHeight);
    canvas.getContext("2d").drawImage(frame, 0, 0);
    const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 })).arrayBuffer());
    pictures.push([number, btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""))]);
  };
  const watch = (track, seen, pictures) => {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    const buffer = new Uint8Array(1024 * 1024);
    (async () => {
      for (;;) {
        const { value: frame, done } = await reader.read();
        if (done) return;
        const at = performance.now();
        const width = frame.codedWidth, rows = 16;
        try {
          await frame.copyTo(buffer, { rect: { x: 0, y: 0, width: frame.visibleRect.width, height: rows } });
          const number = decode(buffer, frame.visibleRect.width, rows);
          seen.push([number, at]);
          if (pictures && number !== null) await keep(frame, number);
        } finally { frame.close(); }
      }
    })();
    return reader;
  };

  const stream = await navigator.mediaDevices.getUserMedia({
    video: { width: 512, height: 512, frameRate: 25 }, audio: true,
  });
  const [camera] = stream.getVideoTracks();
  const up = new RTCPeerConnection();
  const sender = up.addTransceiver(camera, { direction: "sendonly" });
  h264First(sender, "video");
  up.addTransceiver(stream.getAudioTracks()[0], { direction: "sendonly" });
  const down = new RTCPeerConnection();
  const receiver = down.addTransceiver("video", { direction: "recvonly" });
  h264First(receiver, "video");
  down.addTransceiver("audio", { direction: "recvonly" });
  const remote = new Promise((done) => down.addEventListener("track", (e) => { if (e.track.kind === "video") done(e.track); }));
  await post(up, "/whip/main");
  await connected(up);
  await post(down, "/whep/main");
  await connected(down);
  receiver.receiver.jitterBufferTarget = 0;
  const video = document.createElement("video");
  video.muted = true; video.autoplay = true;
  const track = await remote;
  video.srcObject = new MediaStream([track]);
  document.body.append(video);
  await video.play();
  await new Promise((r) => setTimeout(r, warmup * 1000));

  const sent = [], received = [];
  const readers = [watch(camera.clone(), sent, null), watch(track, received, pictures)];
  const inbound = async () => {
    for (const report of (await receiver.receiver.getStats()).values()) if (report.type === "inbound-rtp") return { ...report };
  };
  const codec = async (pc, kind) => {
    const stats = await pc.getStats();
    for (const report of stats.values())
      if (report.type === kind && report.kind === "video") return stats.get(report.codecId)?.mimeType;
  };
  window.phase = "measuring";
  const before = await inbound();
  await new Promise((r) => setTimeout(r, seconds * 1000));
  const after = await inbound();
  window.phase = "measured";
  const codecs = [await codec(up, "outbound-rtp"), await codec(down, "inbound-rtp")];
  for (const reader of readers) await reader.cancel();
  up.close(); down.close(); stream.getTracks().forEach((t) => t.stop());
  return { sent, received, before, after, codecs, pictures };
}
