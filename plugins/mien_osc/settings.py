"""What can be configured under `[plugin.osc]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from mien.config import Section, read_table

PORT = 39539
"""Where VMC receivers (marionettes) listen by convention."""


class Settings(Section):
    """Where the motion goes and how it is spelt."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = PORT
    capitals: bool = True
    """BrowInnerUp as in Unity, rather than browInnerUp as Apple writes it; for receivers that mind"""
    eye_bones: bool = True
    """turn the eye bones too, for avatars whose eyeLook shapes move nothing but the lids"""


def read_settings(table: Mapping[str, Any]) -> Settings:
    """Raises `ConfigError`."""
    return read_table(Settings, table, "osc")
