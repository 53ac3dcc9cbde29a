"""Alpha in files: kept by VP9 and ProRes, beside the colours in an MP4, flattened where it can't be."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av_clips import RATE, tone

from mien.errors import MediaError
from mien.frames import AudioFrame, VideoFrame
from mien.testing.context import FakeContext
from mien_av.provenance import SYNTHETIC, read_digital_source_type
from mien_av.videofile import VideoFileOutput

pytestmark = pytest.mark.plugin

MS = 1_000_000
SIDE = 64
CENTRE, CORNER = (SIDE // 2, SIDE // 2), (3, 3)


def person(n: int, *, opaque: bool = False) -> VideoFrame:
    """A red disc; its colour goes on beyond it, getting darker."""
    y, x = np.mgrid[:SIDE, :SIDE]
    away = np.hypot(x - SIDE / 2, y - SIDE / 2)
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[..., 0] = np.clip(240 - away, 0, 255)
    alpha = None if opaque else np.where(away < 20, 255, 0).astype(np.uint8)
    return VideoFrame(pixels, n * 40 * MS, alpha, n, backdrop=(0, 200, 0))


async def written(
    path: Path, frames: list[VideoFrame | AudioFrame], *, live: bool = False, **settings: object
) -> None:
    output = VideoFileOutput(str(path))
    await output.open(FakeContext(settings=settings, live=live))
    for frame in frames:
        await (output.video(frame) if isinstance(frame, VideoFrame) else output.audio(frame))
    await output.close()


def pictures_of(path: Path) -> list[np.ndarray]:
    """(H, W, 4); FFmpeg's own VP9 decoder leaves alpha out, libvpx's does not."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = stream.codec_context
        if decoder.name == "vp9":
            decoder = av.CodecContext.create("libvpx-vp9", "r")
        packets = [packet for packet in container.demux(stream) if packet.size]
        frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
        return [frame.to_ndarray(format="rgba") for frame in frames]


@pytest.mark.parametrize("sound", [False, True])
@pytest.mark.parametrize(("suffix", "live"), [(".webm", False), (".webm", True), (".mov", False)])
async def test_alpha_is_read_back(tmp_path: Path, suffix: str, live: bool, sound: bool) -> None:
    path = tmp_path / f"out{suffix}"
    frames: list[VideoFrame | AudioFrame] = [person(n) for n in range(6)]
    if sound:
        frames.append(AudioFrame(tone(0.2), RATE, 0))
    await written(path, frames, live=live)
    read = pictures_of(path)
    assert len(read) == 6
    for picture in read:
        assert picture.shape == (SIDE, SIDE, 4)
        assert np.abs(picture[..., 3].astype(int) - person(0).alpha).mean() < 2
        assert picture[(*CENTRE, 3)] > 250
        assert picture[(*CORNER, 3)] < 5
        np.testing.assert_allclose(picture[CENTRE][:3], (240, 0, 0), atol=12)
    with av.open(str(path)) as container:
        assert [s.type for s in container.streams] == ["video", "audio"][: 1 + sound]
        if suffix == ".webm":
            assert container.streams.video[0].metadata["alpha_mode"] == "1"  # players go by that
        assert "Synthetic" in container.metadata.get("comment", container.metadata.get("COMMENT", ""))


async def test_the_note_that_it_is_synthetic(tmp_path: Path) -> None:
    await written(tmp_path / "out.mov", [person(0)])
    assert read_digital_source_type(tmp_path / "out.mov") == SYNTHETIC
    await written(tmp_path / "out.webm", [person(0)])
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.metadata["DIGITAL_SOURCE_TYPE"] == SYNTHETIC


async def test_an_opaque_webm_has_no_alpha(tmp_path: Path) -> None:
    path = tmp_path / "out.webm"
    await written(path, [person(n, opaque=True) for n in range(3)])
    with av.open(str(path)) as container:
        assert "alpha_mode" not in container.streams.video[0].metadata
    assert all((picture[..., 3] == 255).all() for picture in pictures_of(path))


async def test_who_begins_with_alpha_keeps_it(tmp_path: Path) -> None:
    """The background may be changed while a file is written."""
    path = tmp_path / "out.webm"
    await written(path, [person(0), person(1, opaque=True), person(2)])
    corners = [int(picture[(*CORNER, 3)]) for picture in pictures_of(path)]
    assert corners[0] < 5
    assert corners[1] > 250
    assert corners[2] < 5


async def test_who_begins_without_alpha_gets_the_backdrop(tmp_path: Path) -> None:
    path = tmp_path / "out.webm"
    await written(path, [person(0, opaque=True), person(1)])
    np.testing.assert_allclose(pictures_of(path)[1][CORNER], (0, 200, 0, 255), atol=12)


async def test_live_a_file_that_can_keep_alpha_is_ready_for_it(tmp_path: Path) -> None:
    """A recording may begin with the last picture from before the background was made transparent."""
    path = tmp_path / "out.webm"
    await written(path, [person(0, opaque=True), person(1)], live=True)
    first, second = (int(picture[(*CORNER, 3)]) for picture in pictures_of(path))
    assert first > 250
    assert second < 5


async def test_side_by_side_in_an_mp4(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    await written(path, [person(0), person(1, opaque=True)], alpha="side-by-side")
    first, second = pictures_of(path)
    assert first.shape == (SIDE, 2 * SIDE, 4)
    np.testing.assert_allclose(first[CENTRE][:3], (240, 0, 0), atol=12)
    np.testing.assert_allclose(first[CENTRE[0], SIDE + CENTRE[1], :3], 255, atol=4)
    np.testing.assert_allclose(first[CORNER[0], SIDE + CORNER[1], :3], 0, atol=4)
    np.testing.assert_allclose(second[:, SIDE + 4 :, :3], 255, atol=4)


async def test_what_each_takes(tmp_path: Path) -> None:
    for name, alpha, takes in (
        ("a.mp4", "auto", False),
        ("a.webm", "auto", True),
        ("a.mov", "auto", True),
        ("a.mp4", "side-by-side", True),
    ):
        output = VideoFileOutput(str(tmp_path / name))
        await output.open(FakeContext(settings={"alpha": alpha}))
        assert output.takes_alpha is takes, name
        await output.abandon()


async def test_prores_is_not_for_live(tmp_path: Path) -> None:
    output = VideoFileOutput(str(tmp_path / "out.mov"))
    with pytest.raises(MediaError, match=r"out\.webm"):
        await output.open(FakeContext(live=True))
    await output.close()
