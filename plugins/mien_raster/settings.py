"""What can be configured under `[plugin.raster]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from mien.config import Section, read_table


class Settings(Section):
    """Immutable; unknown keys are refused."""

    model_config = ConfigDict(strict=True)

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """row bands of one picture are drawn on that many threads"""


def read_settings(table: Mapping[str, Any]) -> Settings:
    """`table` checked. Raises `ConfigError` that names the key and the mend."""
    return read_table(Settings, table, "raster")
