"""What can be configured under `[plugin.virtualcam]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from mien.config import Section, read_table


class Settings(Section):
    """Immutable; unknown keys are refused."""

    width: Annotated[int, Field(ge=64, le=3840, multiple_of=2)] = 1280
    height: Annotated[int, Field(ge=64, le=2160, multiple_of=2, validate_default=True)] = 720
    device: str = ""
    """which virtual camera; empty: the first one"""

    @field_validator("height")
    @classmethod
    def _wide(cls, height: int, info: ValidationInfo) -> int:
        width = info.data.get("width", height)  # absent when it was refused itself
        if not height <= width <= 3 * height:
            raise ValueError(f"width ({width}) must lie between height and three times height")
        return height


def read_settings(table: Mapping[str, Any]) -> Settings:
    """Raises `ConfigError` that names the key."""
    return read_table(Settings, table, "virtualcam")
