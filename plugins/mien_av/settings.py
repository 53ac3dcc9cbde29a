"""What can be configured under `[plugin.av]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from mien.config import Section, read_table


class Settings(Section):
    """Immutable; unknown keys are refused."""

    loop: bool = True
    """start a clip again when it has ended, live only"""
    max_side: Annotated[int, Field(ge=128, le=4096)] = 1280
    """larger pictures are reduced to this many px on their longer side before they are tracked"""
    camera_width: Annotated[int, Field(ge=64, le=7680)] = 640
    camera_height: Annotated[int, Field(ge=64, le=4320)] = 480
    camera_fps: Annotated[int, Field(ge=1, le=240)] = 30
    """asked of the camera; it answers with what comes closest"""
    crf: Annotated[int, Field(ge=0, le=51)] = 18
    """quality of MP4 and WebM files, H.264's constant rate factor; lower is better"""
    preset: str = ""
    """of x264; empty: superfast when live, fast offline"""
    alpha: Literal["auto", "side-by-side"] = "auto"
    """auto: kept where the file's codec can (.webm, .mov); side-by-side: as grey at the right of the colours, for
    which an MP4 is enough
    """


def read_settings(table: Mapping[str, Any]) -> Settings:
    """Raises `ConfigError`, naming the key and, when it is misspelt, the nearest."""
    return read_table(Settings, table, "av")
