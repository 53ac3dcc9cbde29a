"""Keeps the pictures coming while nobody drives."""

from __future__ import annotations

from mien.clock import NS_PER_S, Clock
from mien.outputs import Outputs
from mien.pipeline import SILENCE, Pipeline
from mien.trace import Trace
from mien.upkeep import Upkeep


class Ticker:
    """Asks the pipeline for a picture at the frame rate whenever no source does and nothing is heard.

    While no renderer is there to draw one, the outputs are given the last picture again.
    """

    def __init__(
        self, clock: Clock, fps: float, trace: Trace, pipeline: Pipeline, upkeep: Upkeep, outputs: Outputs
    ) -> None:
        self._clock = clock
        self._interval_ns = round(NS_PER_S / fps)
        self._trace = trace
        self._pipeline = pipeline
        self._upkeep = upkeep
        self._outputs = outputs
        self._ticks = 0

    async def run(self) -> None:
        """Tick until cancelled."""
        when = self._clock.now_ns()
        while True:
            when = max(when + self._interval_ns, self._clock.now_ns())
            await self._clock.sleep_until(when)
            silent_ns = when - self._pipeline.last_active_ns
            if self._upkeep.renderer_away:
                self._hold()
            elif self._pipeline.tracking and silent_ns < NS_PER_S:
                continue  # a slow tracker's pose is still to come, or waits for its sound; a tick would overtake it
            elif silent_ns > SILENCE * self._interval_ns:
                self._ticks += 1
                self._pipeline.offer_tick(self._ticks)

    def _hold(self) -> None:
        """Show the last picture again, as old as pictures are when they are shown: the sound beside it is that
        old, too. A frame later than the last one at least, so that time grows; never in the future.
        """
        if (last := self._outputs.last_picture) is not None:
            now = self._clock.now_ns()
            usual = now - round(self._trace.typical_ns("total"))
            self._outputs.hold(min(now, max(usual, last.capture_ns + self._interval_ns)))
