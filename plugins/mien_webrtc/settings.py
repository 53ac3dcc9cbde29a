"""The plugin's own settings, `[plugin.webrtc]`; what concerns every gateway lies in `[server]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from mien.config import Section, read_table


class WebrtcSettings(Section):
    """Validated `[plugin.webrtc]`."""

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast"] = "superfast"
    """libx264's effort; superfast costs 3 ms of CPU for 512x512"""
    audio_kbps: Annotated[int, Field(ge=16, le=256)] = 64
    max_viewers: Annotated[int, Field(ge=1, le=256)] = 8
    """of one session"""
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 8.0
    """how long ICE may try before the connection is given up with a reason"""
    silence_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """a publisher that sends nothing for so long is gone"""
    voice_buffer_s: Annotated[float, Field(ge=0.5, le=120)] = 10.0
    """sound that a program may push ahead of its being played, before it is told to wait"""
    max_photo_mb: Annotated[int, Field(ge=1, le=1024)] = 64
    max_clip_mb: Annotated[int, Field(ge=1, le=65536)] = 1024

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> WebrtcSettings:
        """Raises `ConfigError` that names the key."""
        return read_table(cls, table, "webrtc")
