"""What can be configured under `[plugin.sounddevice]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator

from mien.config import Section, read_table
from mien.frames import HIGHEST_RATE, LOWEST_RATE


class Settings(Section):
    """Immutable; unknown keys are refused."""

    rate: int = 0
    """Hz that the microphone is opened at, 8000 to 96000; 0: what the device prefers"""
    channels: Annotated[int, Field(ge=1, le=2)] = 1
    """of the microphone; one that has fewer gives what it has"""
    block_ms: Annotated[float, Field(ge=2, le=100)] = 10.0
    """how much sound a device exchanges at a time"""
    virtual_microphone: str = ""
    """the device that `virtualmic` plays into; empty: a null sink of its own (Linux), or the cable that is installed"""
    cushion_ms: Annotated[float, Field(ge=5, le=500)] = 40.0
    """sound that `virtualmic` keeps ready, so that unsteady delivery is not heard"""
    device_ms: Annotated[float, Field(ge=5, le=500)] = 60.0
    """sound that the device of `virtualmic` keeps ready, so that a busy machine is not heard"""

    @field_validator("rate")
    @classmethod
    def _possible(cls, rate: int) -> int:
        if rate and not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise ValueError(f"it lies between {LOWEST_RATE} and {HIGHEST_RATE} Hz, or is 0")
        return rate


def read_settings(table: Mapping[str, Any]) -> Settings:
    """Raises `ConfigError` that names the key."""
    return read_table(Settings, table, "sounddevice")
