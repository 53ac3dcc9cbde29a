"""A real Chromium that hides its addresses (mDNS), watches by WHEP and publishes by WHIP."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright
from webrtc_fakes import PATIENCE_S, FakeEngine, showing, until

from chromium import CAMERA, HEADLESS, find_chromium
from mien.config import load_config
from mien.frames import AudioFrame, VideoFrame
from mien_webrtc.gateway import WebGateway

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FLAGS = [*HEADLESS, *CAMERA, "--enable-features=WebRtcHideLocalIpsWithMdns"]

CONNECT = """
async ([kind, codec]) => {
  const pc = window.pc = new RTCPeerConnection();
  if (kind === 'whep') {
    window.stream = new MediaStream();
    pc.ontrack = ({track}) => stream.addTrack(track);
    for (const medium of ['video', 'audio']) pc.addTransceiver(medium, {direction: 'recvonly'});
  } else {
    const camera = await navigator.mediaDevices.getUserMedia({video: {width: 320, height: 240}, audio: true});
    for (const track of camera.getTracks()) pc.addTransceiver(track, {direction: 'sendonly'});
  }
  const codecs = RTCRtpReceiver.getCapabilities('video').codecs.filter(
      ({mimeType}) => mimeType.toLowerCase() === `video/${codec}`);
  pc.getTransceivers().find(({receiver}) => receiver.track.kind === 'video').setCodecPreferences(codecs);
  await pc.setLocalDescription();
  await new Promise((done) => {
    pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done();
    setTimeout(done, 1000);
  });
  const response = await fetch(`/${kind}/main`,
      {method: 'POST', body: pc.localDescription.sdp, headers: {'Content-Type': 'application/sdp'}});
  if (response.status !== 201) throw new Error(await response.text());
  await pc.setRemoteDescription({type: 'answer', sdp: await response.text()});
  return pc.localDescription.sdp;
}
"""

WATCH = """
async () => {
  const video = document.createElement('video');
  video.muted = true;
  video.srcObject = stream;
  document.body.append(video);
  await video.play();
  const context = new OffscreenCanvas(128, 128).getContext('2d');
  const counts = [];
  while (counts.length < 12) {
    await new Promise((done) => video.requestVideoFrameCallback(done));
    context.drawImage(video, 0, 0);
    counts.push(Math.round((context.getImageData(16, 16, 1, 1).data[0] - 16) / 8));
  }
  return counts;
}
"""

STATS = """
async () => [...(await pc.getStats()).values()].find(
    ({type, kind}) => kind === 'video' && /^(in|out)bound-rtp$/.test(type))
"""


class World:
    def __init__(self, engine: FakeEngine, page: Page) -> None:
        self.engine = engine
        self.page = page


@pytest_asyncio.fixture(params=["h264", "vp8"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    engine, gateway = (
        FakeEngine(load_config(options={"server.port": 0, "server.codec": request.param})),
        WebGateway(),
    )
    address = await gateway.start(engine)  # type: ignore[arg-type]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        page = await browser.new_page()
        await page.goto(f"{address}api/status")
        yield World(engine, page)
        await browser.close()
    await gateway.stop()


async def stats(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = await page.evaluate(STATS)
    return found


async def test_a_browser_watches(world: World) -> None:
    codec = world.engine.config.server.codec
    async with showing(world.engine.main, sound=True):
        await world.page.evaluate(CONNECT, ["whep", codec])
        counts = await world.page.evaluate(WATCH)
        told = await stats(world.page)
    steps = [(b - a) % 28 for a, b in itertools.pairwise(counts)]
    assert all(step < 14 for step in steps)  # forwards, however many a busy machine leaves out
    assert len(set(counts)) >= 8
    assert told["framesDecoded"] > 10
    assert 1 <= told["keyFramesDecoded"] <= 3  # VP8 needs one more when its rate changes much


async def test_a_browser_drives(world: World) -> None:
    session = world.engine.main
    await world.page.evaluate(CONNECT, ["whip", world.engine.config.server.codec])
    await until(
        lambda: sum(isinstance(item, VideoFrame) for item in session.taken) > 20, timeout_s=PATIENCE_S
    )
    pictures = [item for item in session.taken if isinstance(item, VideoFrame)]
    sounds = [item for item in session.taken if isinstance(item, AudioFrame)]
    assert pictures[-1].pixels.shape == (240, 320, 3)
    red, green, blue = pictures[-1].pixels.reshape(-1, 3).mean(0)
    assert green > 100 > max(red, blue)  # Chromium's fake camera is green
    assert len(sounds) > 20
    assert max(abs(sound.samples).max() for sound in sounds) > 0.05  # and beeps
    await world.page.evaluate("pc.close()")
    async with asyncio.timeout(PATIENCE_S):
        await until(lambda: session.attached is None, timeout_s=PATIENCE_S)
