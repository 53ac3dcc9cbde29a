"""Makes avatars while sessions run: beside the lanes, one at a time for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from mien.avatar.making import make_avatar
from mien.avatar.package import Avatar, Consent
from mien.config import Config
from mien.errors import CapacityError
from mien.lane import Lanes
from mien.plugins import Registry


class Workshop:
    """Of one engine. Event loop only.

    Making takes seconds of CPU and hundreds of megabytes, whoever asks; so nobody waits in a queue that would grow.
    """

    def __init__(self, registry: Registry, config: Config, lanes: Lanes) -> None:
        self._registry = registry
        self._config = config
        self._lanes = lanes
        self._making: asyncio.Future[Avatar] | None = None

    async def make(self, image: bytes, consent: Consent, title: str, tell: Callable[[str], None]) -> Avatar:
        """See `make_avatar`. Raises what that raises, and `CapacityError` while another one is being made, even
        when nobody waits for that any more: a thread can't be interrupted.
        """
        if self._making is not None and not self._making.done():
            raise CapacityError(
                "Another avatar is being made just now, which takes some seconds. Try again in a moment."
            )
        work = partial(make_avatar, self._registry, self._config, image, consent, title, tell)
        making = self._making = asyncio.ensure_future(self._lanes.run(work))
        making.add_done_callback(_seen)
        return await asyncio.shield(making)


def _seen(making: asyncio.Future[Avatar]) -> None:
    """Whoever asked may have gone away: then its error is nobody's."""
    if not making.cancelled():
        making.exception()
