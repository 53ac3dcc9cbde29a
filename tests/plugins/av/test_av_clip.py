"""Clips as they come."""

from __future__ import annotations

import itertools
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from av_clips import HEIGHT, WIDTH, picture, square_x, tone, turned, write_clip, write_sound

from mien.errors import MediaError
from mien.frames import AudioFrame, VideoFrame
from mien_av.clip import AUDIO_RATE, Clip, Resampler

pytestmark = pytest.mark.plugin

MS = 1_000_000


def noise(length: int) -> bytes:
    return np.random.default_rng(1).bytes(length)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, 25 fps, with sound."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return write_clip(path, [picture(n) for n in range(50)], sound=tone(2.0))


def split(clip: Clip) -> tuple[list[VideoFrame], list[AudioFrame]]:
    pictures: list[VideoFrame] = []
    sound: list[AudioFrame] = []
    for frame in clip.play():
        (pictures if isinstance(frame, VideoFrame) else sound).append(frame)  # type: ignore[arg-type]
    return pictures, sound


def test_pictures_and_sound_in_order_of_time(clip: Path) -> None:
    opened = Clip(clip)
    times = [frame.capture_ns for frame in opened.play()]
    assert times == sorted(times)
    pictures, sound = split(opened)
    assert [p.capture_ns for p in pictures] == [40 * MS * n for n in range(50)]
    assert [p.index for p in pictures] == list(range(50))
    assert [square_x(p.pixels) for p in pictures[:20]] == pytest.approx([4 * n for n in range(20)], abs=1.5)
    assert np.abs(pictures[7].pixels.astype(int) - picture(7)).mean() < 4
    samples = np.concatenate([s.samples for s in sound])
    assert samples.dtype == np.float32
    assert samples.shape[1] == 1
    assert len(samples) == pytest.approx(2 * AUDIO_RATE, abs=2048)
    assert np.corrcoef(samples[4000:40000, 0], tone(2.0)[4000:40000, 0])[0, 1] > 0.99
    assert all(s.rate == AUDIO_RATE for s in sound)


def test_what_a_clip_knows_about_itself(clip: Path) -> None:
    info = Clip(clip).info
    assert (info.width, info.height, info.fps, info.frames) == (WIDTH, HEIGHT, 25.0, 50)
    assert info.duration_s == pytest.approx(2.0, abs=0.1)
    assert info.audio_rate == AUDIO_RATE
    assert info.title == "clip.mp4"


def test_variable_frame_rate_is_kept(tmp_path: Path) -> None:
    times = [0.0, 0.033, 0.1, 0.5, 0.52, 1.4, 1.44]
    path = write_clip(tmp_path / "vfr.mp4", [picture(n) for n in range(7)], times)
    pictures, sound = split(Clip(path))
    assert [p.capture_ns / 1e9 for p in pictures] == pytest.approx(times, abs=0.001)
    assert not sound


def test_time_starts_with_the_first_picture(tmp_path: Path) -> None:
    """Sound before it is left out; sound after it keeps its distance."""
    sound = np.zeros((2 * AUDIO_RATE, 1), np.float32)
    sound[AUDIO_RATE : AUDIO_RATE + 480] = 0.9  # a click at 1.0 s
    path = write_clip(
        tmp_path / "late.mkv", [picture(n) for n in range(30)], [0.5 + n / 25 for n in range(30)], sound=sound
    )
    pictures, heard = split(Clip(path))
    assert pictures[0].capture_ns == 0
    assert 0 <= heard[0].capture_ns < 30 * MS
    peak = max(heard, key=lambda s: float(np.abs(s.samples).max()))
    at_s = peak.capture_ns / 1e9 + float(np.abs(peak.samples[:, 0]).argmax()) / AUDIO_RATE
    assert at_s == pytest.approx(0.5, abs=0.02)


def test_sound_ends_with_the_pictures(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "tail.mp4", [picture(n) for n in range(10)], sound=tone(3.0))
    opened = Clip(path)
    _, sound = split(opened)
    assert sound[-1].capture_ns < 400 * MS
    assert opened.end_ns == 400 * MS


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (16_000, 1)])
def test_sound_is_resampled(tmp_path: Path, rate: int, channels: int) -> None:
    path = write_clip(
        tmp_path / "rate.mp4",
        [picture(n) for n in range(25)],
        sound=tone(1.0, rate, channels),
        rate=rate,
    )
    _, sound = split(Clip(path))
    samples = np.concatenate([s.samples for s in sound])
    assert samples.shape[1] == channels
    assert len(samples) == pytest.approx(AUDIO_RATE, abs=3500)
    spectrum = np.abs(np.fft.rfft(samples[8000:32000, 0]))
    assert np.argmax(spectrum) * AUDIO_RATE / 24_000 == pytest.approx(440, abs=4)
    steps = [b.capture_ns - a.capture_ns for a, b in itertools.pairwise(sound)]
    lengths = [s.duration_ns for s in sound[:-1]]
    assert steps == pytest.approx(lengths, abs=50_000)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata_are_honoured(clip: Path, degrees: int) -> None:
    opened = Clip(turned(clip, degrees))
    first = next(opened.pictures())
    expected = np.rot90(picture(0), -degrees // 90)
    assert first.pixels.shape == expected.shape
    assert np.abs(first.pixels.astype(int) - expected).mean() < 4
    assert (opened.info.width, opened.info.height) == (expected.shape[1], expected.shape[0])
    assert "upright" in opened.notices[0]


def test_large_pictures_are_reduced(clip: Path) -> None:
    opened = Clip(clip, max_side=80)
    first = next(opened.pictures())
    assert first.pixels.shape == (60, 80, 3)
    assert "reduced to 80x60" in opened.notices[0]


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("clip.mkv", ("libx264", "aac")),
        ("clip.avi", ("mpeg4", "mp3")),
        ("clip.ts", ("libx264", "aac")),
        ("clip.mpg", ("mpeg2video", "mp2")),
        ("clip.webm", ("libvpx", "libopus")),
    ],
)
def test_other_containers(tmp_path: Path, name: str, codecs: tuple[str, str]) -> None:
    path = write_clip(tmp_path / name, [picture(n) for n in range(25)], sound=tone(1.0), codecs=codecs)
    pictures, sound = split(Clip(path))
    assert len(pictures) >= 24
    assert pictures[0].capture_ns == 0
    assert sum(len(s.samples) for s in sound) > 0.9 * AUDIO_RATE


def test_leading_garbage(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "clip.ts", [picture(n) for n in range(25)], sound=tone(1.0))
    path = tmp_path / "garbage.ts"
    path.write_bytes(noise(3000) + whole.read_bytes())
    pictures, _ = split(Clip(path))
    assert len(pictures) >= 20


def test_damage_in_the_middle_is_skipped(clip: Path, tmp_path: Path) -> None:
    whole = clip.read_bytes()
    first = whole.index(b"mdat")
    length = int.from_bytes(whole[first - 4 : first], "big")
    path = tmp_path / "damaged.mp4"
    for part in range(30, 90, 5):  # pictures here, sound there
        data = bytearray(whole)
        start = first + length * part // 100
        data[start : start + 400] = noise(400)
        path.write_bytes(data)
        pictures, _ = split(Clip(path))
        assert len(pictures) > 10, f"damage at {part} %"


def test_sound_that_claims_a_format_nobody_has_is_left_out() -> None:
    resampler = Resampler(1)
    strange = av.AudioFrame(format="fltp", layout="43 channels", samples=1024)
    strange.sample_rate = 48_000
    usual = av.AudioFrame(format="fltp", layout="mono", samples=1024)
    usual.sample_rate = 48_000
    heard = [len(resampler.feed(piece)) for piece in (usual, strange, usual)]
    assert heard == [1024, 0, 1024]


# --- sound alone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "seconds"), [("a.wav", 0.5), ("a.flac", 0.5), ("a.mp3", 0.53), ("a.m4a", 0.53), ("a.ogg", 0.5)]
)
def test_a_file_of_sound_is_heard_from_its_beginning(tmp_path: Path, name: str, seconds: float) -> None:
    clip = Clip(write_sound(tmp_path / name, tone(0.5)))
    assert clip.info.width is None
    assert clip.info.audio_rate == 48_000
    pictures, sound = split(clip)
    assert pictures == []
    assert sound[0].capture_ns == 0
    length_s = sum(len(piece.samples) for piece in sound) / 48_000
    assert length_s == pytest.approx(seconds, abs=0.04)
    assert clip.end_ns == pytest.approx(length_s * 1e9, abs=5e7)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (22_050, 2), (96_000, 2)])
def test_sound_of_any_rate_comes_at_48_khz(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(bytes(2 * channels * rate))
    _, sound = split(Clip(path))
    assert {piece.rate for piece in sound} == {48_000}
    assert sum(len(piece.samples) for piece in sound) == pytest.approx(48_000, abs=200)
    assert sound[0].samples.shape[1] == channels


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.5])
def test_a_wav_cut_in_half(tmp_path: Path, keep: float) -> None:
    path = write_sound(tmp_path / "speech.wav", tone(1.0))
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * keep)])
    assert ("is cut short" if keep == 0.5 else "again") in refused(path).lower()


def test_a_wav_that_never_knew_its_length(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "speech.wav", tone(1.0))
    data = path.read_bytes()
    place = data.index(b"data")
    path.write_bytes(b"RIFF\xff\xff\xff\xff" + data[8 : place + 4] + b"\xff\xff\xff\xff" + data[place + 8 :])
    _, sound = split(Clip(path))
    assert sum(len(piece.samples) for piece in sound) == pytest.approx(48_000, abs=2000)


# --- refusals --------------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        list(Clip(path).play())
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("options", [{}, {"movflags": "+faststart"}], ids=["moov-last", "moov-first"])
@pytest.mark.parametrize("keep", [0.02, 0.3, 0.9])
def test_truncated_mp4(tmp_path: Path, options: dict[str, str], keep: float) -> None:
    path = write_clip(tmp_path / "cut.mp4", [picture(n) for n in range(25)], sound=tone(1.0), options=options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    assert "again" in refused(path)


@pytest.mark.parametrize(("name", "codecs"), [("cut.mkv", ("libx264", "aac")), ("cut.avi", ("mpeg4", "mp3"))])
def test_truncated_matroska_and_avi(tmp_path: Path, name: str, codecs: tuple[str, str]) -> None:
    path = write_clip(tmp_path / name, [picture(n) for n in range(25)], codecs=codecs)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.7)])
    assert "is cut short" in refused(path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert "is empty" in refused(tmp_path / "empty.mp4")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text.txt", b"This is no clip.\n" * 200),
        ("noise.mp4", noise(5000)),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nclip.mp4\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile clip.mp4\n"),
    ],
)
def test_no_clip(clip: Path, name: str, data: bytes) -> None:
    """Playlists too: they may name any other file."""
    path = clip.parent / name
    path.write_bytes(data)
    assert "is not a clip" in refused(path)


def test_missing(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.mp4")


@pytest.mark.data
def test_reference_clips_open(data: Path) -> None:
    for name in ("talk/room_24s_720p.mp4", "grid/bbaf2n.mpg", "expressive/strong_6s.mp4"):
        opened = Clip(data / name)
        frame = next(opened.pictures())
        assert (frame.width, frame.height) == (opened.info.width, opened.info.height)
