"""What can be configured under `[plugin.raster]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.config import explain
from mien.errors import ConfigError


class Settings(BaseModel):
    """Immutable; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """row bands of one picture are drawn on that many threads"""


def read_settings(table: Mapping[str, Any]) -> Settings:
    """`table` checked. Raises `ConfigError` that names the key and the mend."""
    try:
        return Settings.model_validate(dict(table))
    except ValidationError as error:
        raise ConfigError(explain(error, Settings, "[plugin.raster]")) from None
