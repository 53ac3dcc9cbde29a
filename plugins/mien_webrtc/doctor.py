"""What `mien doctor` says about this plugin."""

from __future__ import annotations

import av
from av.codec import Codec
from av.codec.codec import UnknownCodecError

from mien.stage import Check

CODECS = {
    "libx264": "H.264 out",
    "libvpx": "VP8 out and in",
    "h264": "H.264 in",
    "libopus": "sound out and in",
}


def checks() -> list[Check]:
    """One line per codec that this machine's FFmpeg must bring."""
    return [_check(name, purpose) for name, purpose in CODECS.items()]


def _check(name: str, purpose: str) -> Check:
    try:
        Codec(name, "r" if name == "h264" else "w")
    except UnknownCodecError:
        return Check(
            f"codec {name}",
            False,
            f"{purpose}: PyAV {av.__version__} was built without it",
            "pip install --force-reinstall --only-binary av av",
        )
    return Check(f"codec {name}", True, purpose)
