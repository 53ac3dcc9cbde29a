"""The microphone beside the source: opened, opened again when it is pulled out, and back after another voice."""

from __future__ import annotations

from mien.backoff import back_off_ns
from mien.clock import Clock
from mien.config import RunSection
from mien.engine import Engine
from mien.session import Session
from mien.sources import SourceFactory
from mien.stage import Kind

MICROPHONE = "microphone"
"""The source that is one, and what `[run] microphone` begins with."""


def voice_factory(engine: Engine, run: RunSection) -> SourceFactory | None:
    """What makes the source that is to be the voice beside the one that drives; None: there is to be none.

    A run that a voice is to drive takes the system's microphone, where there is one. Raises `PluginError` when
    one is asked for and nothing is installed to open it.
    """
    spec = run.microphone
    if not spec and run.drive in {"voice", "both"} and engine.registry.sees(MICROPHONE):
        spec = MICROPHONE
    if not spec:
        return None
    engine.registry.find(Kind.SOURCE, spec.partition(":")[0])
    return engine.source_factory(spec)


async def keep_listening(session: Session, make_source: SourceFactory, clock: Clock) -> None:
    """Let the microphone be the session's voice whenever nobody else is. Runs until cancelled."""
    failures = 0
    while True:
        await session.voice_vacant()
        await session.attach_voice(make_source(), if_vacant=True)
        await clock.sleep(back_off_ns(failures))
        failures = 0 if session.voice is not None else failures + 1
