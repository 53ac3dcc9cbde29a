"""Who speaks in a session over the network: one at a time, a program that pushes sound or a browser's microphone."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mien.clock import Clock
from mien.session import Session
from mien.stage import Source
from mien_webrtc.peer import Peer
from mien_webrtc.problems import Problem
from mien_webrtc.whip import WhipSource

TAKEOVER_S = 5.0
"""A program that has neither sent nor played anything for so long gives way to the next voice."""

GONE_S = 1.5
"""A microphone that has sent nothing for so long (even silence is sent) belongs to a page that was reloaded."""

TAKEN_OVER = "Another voice has taken over."


class Speaker(ABC):
    """Whoever sits in the seat."""

    patience_s = TAKEOVER_S
    """how long it may be idle before another one may sit down"""

    @property
    @abstractmethod
    def source(self) -> Source:
        """What the session is to hear."""

    @abstractmethod
    def idle_s(self, now_ns: int) -> float:
        """How long nothing was heard of it."""

    def clear(self) -> None:
        """Forget what waits to be played."""

    @abstractmethod
    async def dismiss(self, reason: str) -> None:
        """It has lost the seat, or the session ends; `reason` tells which."""


class Microphone(Speaker):
    """A browser's or an encoder's sound without pictures, come by WHIP."""

    patience_s = GONE_S

    def __init__(self, peer: Peer, source: WhipSource) -> None:
        self.peer = peer
        self._source = source

    @property
    def source(self) -> WhipSource:
        return self._source

    def idle_s(self, now_ns: int) -> float:
        return self._source.silent_s(now_ns) or 0.0

    async def dismiss(self, reason: str) -> None:
        await self.peer.close(reason)


class Seat:
    """Of one session. Event loop only."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._speaker: Speaker | None = None

    @property
    def speaker(self) -> Speaker | None:
        """Who sits there."""
        return self._speaker

    async def take(self, speaker: Speaker, *, force: bool = False) -> None:
        """Sit down; `speak` comes when there is something to hear. force: whoever sits there is sent away.

        Raises `Problem` 409 while somebody else speaks.
        """
        before = self._speaker
        if before is not None and not force and before.idle_s(self._clock.now_ns()) < before.patience_s:
            raise Problem(
                409,
                "speaking",
                "Somebody else speaks already",
                "A session takes one voice at a time. End the other one, wait until it has been silent for "
                f"{before.patience_s:g} s, or send takeover=1.",
            )
        self._speaker = speaker
        if before is not None:
            await before.dismiss(TAKEN_OVER)

    async def speak(self, speaker: Speaker) -> None:
        """Let the session hear it; ignored when it has lost the seat."""
        if self._speaker is speaker:
            await self._session.attach_voice(speaker.source)

    def interrupt(self) -> None:
        """Silence: what waits is forgotten, and the mouth closes."""
        if self._speaker is not None:
            self._speaker.clear()
        self._session.interrupt_voice()

    async def leave(self, speaker: Speaker) -> None:
        """Stand up; nobody else is disturbed by it."""
        if self._speaker is speaker:
            self._speaker = None
        await self._session.detach_voice(speaker.source)

    async def close(self) -> None:
        """The session ends."""
        if self._speaker is not None:
            await self._speaker.dismiss("The session has ended.")
