"""The encoders and the decoder: rate, key frames, delay, times."""

from __future__ import annotations

import itertools
import queue

import numpy as np
import pytest
from webrtc_fakes import PATIENCE_S, count, noise, pattern, until

from mien.clock import NS_PER_S, SystemClock
from mien.errors import ConfigError
from mien.frames import AudioFrame, VideoFrame
from mien.stage import EncodedFrame
from mien.testing.context import FakeContext
from mien_webrtc import doctor, opus
from mien_webrtc.assembly import AssembledFrame, is_keyframe
from mien_webrtc.decoding import VideoDecoder
from mien_webrtc.h264 import H264Encoder
from mien_webrtc.vp8 import Vp8Encoder

pytestmark = pytest.mark.plugin

FRAME_NS = NS_PER_S // 25
ORIGIN_NS = 10**14 + 7
"""Engine time is the machine's uptime: large."""


def encode(encoder: H264Encoder | Vp8Encoder, index: int, keyframe: bool = False) -> EncodedFrame:
    frame = VideoFrame(pattern(index), ORIGIN_NS + index * FRAME_NS, index=index)
    [encoded] = encoder.encode(frame, keyframe=keyframe)
    return encoded


@pytest.fixture(params=[H264Encoder, Vp8Encoder])
def encoder(request: pytest.FixtureRequest) -> H264Encoder | Vp8Encoder:
    made: H264Encoder | Vp8Encoder = request.param(2_000_000)
    made.open(FakeContext())
    return made


def test_every_picture_comes_out_at_once_and_key_frames_only_on_request(
    encoder: H264Encoder | Vp8Encoder,
) -> None:
    encoded = [encode(encoder, n, keyframe=n == 30) for n in range(60)]
    assert [n for n, e in enumerate(encoded) if e.keyframe] == [0, 30]
    assert all(is_keyframe(e.codec, e.data) == e.keyframe for e in encoded)
    assert [e.capture_ns for e in encoded] == [ORIGIN_NS + n * FRAME_NS for n in range(60)]


def test_another_size_starts_afresh(encoder: H264Encoder | Vp8Encoder) -> None:
    encode(encoder, 0)
    [encoded] = encoder.encode(VideoFrame(pattern(1, 96), ORIGIN_NS + FRAME_NS))
    assert encoded.keyframe
    [odd] = encoder.encode(VideoFrame(pattern(1, 97)[:95], ORIGIN_NS + 2 * FRAME_NS))
    assert odd.keyframe


def test_times_that_stand_still_do_no_harm(encoder: H264Encoder | Vp8Encoder) -> None:
    for _ in range(3):
        assert encoder.encode(VideoFrame(pattern(0), ORIGIN_NS))


def rate(encoder: H264Encoder, first: int, frames: int = 25) -> float:
    """Mean bits per second of noise."""
    sizes = [
        len(e.data)
        for n in range(first, first + frames)
        for e in encoder.encode(VideoFrame(noise(n), ORIGIN_NS + n * FRAME_NS))
    ]
    return sum(sizes) * 8 * 25 / frames


def test_h264_changes_its_rate_without_a_key_frame() -> None:
    encoder = H264Encoder(4_000_000)
    encoder.open(FakeContext())
    encoder.set_bitrate(2_000_000)
    assert rate(encoder, 0, 50) == pytest.approx(2_000_000, rel=0.3)
    encoder.set_bitrate(700_000)
    frames = [encoder.encode(VideoFrame(noise(n), ORIGIN_NS + n * FRAME_NS)) for n in range(50, 75)]
    assert not any(e.keyframe for encoded in frames for e in encoded)
    assert rate(encoder, 75) == pytest.approx(700_000, rel=0.3)
    encoder.set_bitrate(3_000_000)
    rate(encoder, 100)
    assert rate(encoder, 125) == pytest.approx(3_000_000, rel=0.3)


def test_vp8_is_rebuilt_for_large_changes_only() -> None:
    encoder = Vp8Encoder(2_000_000)
    encoder.open(FakeContext())
    encode(encoder, 0)
    encoder.set_bitrate(1_800_000)
    assert not encode(encoder, 1).keyframe
    encoder.set_bitrate(900_000)
    assert encode(encoder, 2).keyframe


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match="preset"):
        H264Encoder().open(FakeContext(settings={"preset": "hasty"}))


def test_the_decoder_holds_nothing_back(encoder: H264Encoder | Vp8Encoder) -> None:
    pictures: queue.Queue[VideoFrame] = queue.Queue()
    decoder = VideoDecoder(SystemClock(), pictures.put)
    try:
        for n in range(10):
            encoded = encode(encoder, n)
            decoder.put(encoded.codec, AssembledFrame(encoded.data, n, 100 + n, 200 + n))
            picture = pictures.get(timeout=PATIENCE_S)
            assert count(picture.pixels) == n
            assert picture.capture_ns == 100 + n
            assert picture.index == n
    finally:
        decoder.close()


def test_the_decoder_waits_for_a_key_frame_and_asks_for_it() -> None:
    encoder = H264Encoder()
    encoder.open(FakeContext())
    pictures: queue.Queue[VideoFrame] = queue.Queue()
    decoder = VideoDecoder(SystemClock(), pictures.put)

    def put(n: int, keyframe: bool = False, *, after_loss: bool = False) -> bool:
        encoded = encode(encoder, n, keyframe)
        return decoder.put("H264", AssembledFrame(encoded.data, n, n, n), after_loss=after_loss)

    try:
        now = SystemClock().now_ns()
        encode(encoder, 0)  # lost
        assert not put(1)
        assert not decoder.wants_keyframe(now)  # a stream that begins, begins with one anyway
        assert decoder.wants_keyframe(now + NS_PER_S)
        assert put(2, keyframe=True)
        assert pictures.get(timeout=PATIENCE_S).capture_ns == 2
        assert not put(3, after_loss=True)
        assert decoder.wants_keyframe(now + 2 * NS_PER_S)
        assert not decoder.wants_keyframe(now + 2 * NS_PER_S + 1)
        assert decoder.wants_keyframe(now + 3 * NS_PER_S)
        assert put(4, keyframe=True, after_loss=True)
        assert pictures.get(timeout=PATIENCE_S).capture_ns == 4
    finally:
        decoder.close()


def test_what_is_never_decoded_is_counted() -> None:
    encoder, decoder = H264Encoder(), VideoDecoder(SystemClock(), lambda _: None)
    encoder.open(FakeContext())
    coded = [AssembledFrame(encode(encoder, n, keyframe=n == 3).data, 0, 0, 0) for n in range(4)]
    decoder.close()  # what is put from now on waits for ever
    assert not decoder.put("H264", coded[1])
    assert decoder.given_up == 1  # nothing before it
    assert decoder.put("H264", coded[0])
    for _ in range(11):
        assert decoder.put("H264", coded[1])
    assert not decoder.put("H264", coded[2])
    assert decoder.given_up == 1 + 12 + 1  # the backlog and what found it full
    assert decoder.put("H264", coded[0])
    assert decoder.put("H264", coded[3])
    assert decoder.given_up == 15  # a key frame needs none of what waits


def test_garbage_does_not_stop_the_decoder() -> None:
    encoder = H264Encoder()
    encoder.open(FakeContext())
    pictures: queue.Queue[VideoFrame] = queue.Queue()
    decoder = VideoDecoder(SystemClock(), pictures.put)
    try:
        decoder.put("H264", AssembledFrame(b"\0\0\1\x65" + bytes(range(256)), 0, 0, 0))
        encoded = encode(encoder, 1)
        decoder.put("H264", AssembledFrame(encoded.data, 1, 1, 1))
        assert pictures.get(timeout=PATIENCE_S).capture_ns == 1
    finally:
        decoder.close()


async def test_what_goes_wrong_with_one_picture_does_not_end_the_decoder(
    caplog: pytest.LogCaptureFixture,
) -> None:
    encoder = H264Encoder()
    encoder.open(FakeContext())
    pictures: queue.Queue[VideoFrame] = queue.Queue()

    def deliver(picture: VideoFrame) -> None:
        if picture.capture_ns == 0:
            raise RuntimeError("nobody is there")
        pictures.put(picture)

    decoder = VideoDecoder(SystemClock(), deliver)
    try:
        decoder.put("H264", AssembledFrame(encode(encoder, 0).data, 0, 0, 0))
        await until(lambda: decoder.given_up)
        decoder.put("H264", AssembledFrame(encode(encoder, 1, keyframe=True).data, 1, 1, 1))
        assert pictures.get(timeout=PATIENCE_S).capture_ns == 1
        assert decoder.given_up == 1
    finally:
        decoder.close()
    assert "nobody is there" in caplog.text


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (48_000, 2), (44_100, 1), (16_000, 1)])
def test_sound_there_and_back(rate: int, channels: int) -> None:
    encoder, decoder = opus.OpusEncoder(), opus.OpusDecoder()
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    samples = np.repeat(tone[:, None], channels, axis=1).astype(np.float32)
    step = rate // 40  # not the packets' own 20 ms
    packets = [
        packet
        for i in range(0, rate, step)
        for packet in encoder.encode(AudioFrame(samples[i : i + step].copy(), rate, i * NS_PER_S // rate))
    ]
    assert {b.capture_ns - a.capture_ns for a, b in itertools.pairwise(packets)} == {20_000_000}
    heard = np.concatenate([decoder.decode(packet.data) for packet in packets])
    assert len(heard) == pytest.approx(48_000, abs=2000)
    assert np.abs(heard[9600:-2000]).max() == pytest.approx(0.5, abs=0.03)


def test_a_gap_in_the_sound_stays_a_gap() -> None:
    encoder = opus.OpusEncoder()
    silence = np.zeros((960, 1), np.float32)
    times = [0, 20_000_000, 500_000_000, 520_000_000]
    packets = [p for t in times for p in encoder.encode(AudioFrame(silence, 48_000, t))]
    early_ns = 6_500_000  # what a decoder gives out first is from before the packet
    assert [p.capture_ns for p in packets] == [time - early_ns for time in times]


def test_this_machine_has_the_codecs() -> None:
    assert all(check.ok for check in doctor.checks())
