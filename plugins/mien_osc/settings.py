"""What can be configured under `[plugin.osc]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.config import explain
from mien.errors import ConfigError

PORT = 39539
"""Where VMC receivers (marionettes) listen by convention."""


class Settings(BaseModel):
    """Where the motion goes and how it is spelt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = PORT
    capitals: bool = True
    """BrowInnerUp as in Unity, rather than browInnerUp as Apple writes it; for receivers that mind"""
    eye_bones: bool = True
    """turn the eye bones too, for avatars whose eyeLook shapes move nothing but the lids"""


def read_settings(table: Mapping[str, Any]) -> Settings:
    """Raises `ConfigError`."""
    try:
        return Settings.model_validate(dict(table))
    except ValidationError as error:
        raise ConfigError(explain(error, Settings, "[plugin.osc]")) from None
