"""What can be configured under `[plugin.openvino]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Immutable; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """that one network may use; networks of live sessions are small, and lanes share the cores out already"""
