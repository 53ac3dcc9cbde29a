"""What can be configured under `[plugin.openvino]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from mien.config import Section


class Settings(Section):
    """Immutable; unknown keys are refused."""

    model_config = ConfigDict(strict=True)

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """that one network may use; networks of live sessions are small, and lanes share the cores out already"""
