"""The kinds of video file that can be written, known by their suffix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Container:
    """format, video, audio: FFmpeg's names of the muxer and the encoders.

    pixels: pixel format of opaque pictures; alpha: of those with an alpha channel, empty where the codec has none.
    options: of the muxer. boxes: it consists of ISO base media boxes, as MP4 does. live: encoding is fast enough
    for writing while it happens.
    """

    format: str
    video: str
    audio: str
    pixels: str
    alpha: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    boxes: bool = True
    live: bool = True


_MP4 = Container("mp4", "libx264", "aac", "yuv420p", options={"movflags": "+faststart"})
_WEBM = Container("webm", "libvpx-vp9", "libopus", "yuv420p", "yuva420p", boxes=False)
_MOV = Container(
    "mov", "prores_ks", "pcm_s16le", "yuv444p10le", "yuva444p10le",
    options={"movflags": "+faststart"}, live=False,
)  # fmt: skip

CONTAINERS: Mapping[str, Container] = {".mp4": _MP4, ".m4v": _MP4, ".webm": _WEBM, ".mov": _MOV}


def container_of(path: Path) -> Container | None:
    """By its suffix; None where that is none of `CONTAINERS`."""
    return CONTAINERS.get(path.suffix.lower())


def encoder_options(container: Container, *, crf: int, preset: str, live: bool) -> dict[str, str]:
    """What the video encoder is told.

    crf, preset: as x264 counts them; empty preset: what the two cores of a small machine manage live, or better.
    """
    match container.video:
        case "libx264":
            # Live, the two cores are needed elsewhere; superfast takes a tenth of one at 512x512.
            return {"crf": str(crf), "preset": preset or ("superfast" if live else "fast")}
        case "libvpx-vp9":
            speed = (
                {"deadline": "realtime", "cpu-used": "8"} if live else {"deadline": "good", "cpu-used": "4"}
            )
            # VP9 counts quality to 63 where x264 counts to 51; alpha bears no frames that are not shown.
            quality = {"crf": str(min(crf + 6, 63)), "b": "0"}
            return {**speed, **quality, "row-mt": "1", "auto-alt-ref": "0", "lag-in-frames": "0"}
        case _:
            return {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}
