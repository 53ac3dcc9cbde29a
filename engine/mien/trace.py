"""Where each frame's time went.

A `Passage` travels with a frame and collects its spans. The session's `Trace` keeps the last few hundred
of each stage for percentiles, counts what was delivered, late and dropped (and whose fault it was), and
writes the recent past as a Perfetto / Chrome trace.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S

WAY = ("receive", "track", "listen", "drive", "render", "encode", "total", "packet")
"""Names of spans in the order of the way. `total`: capture to hand-over to the outputs; `packet`: capture
to the last packet's hand-off. A name with the prefix `wait:` is time spent in a queue before a stage."""


@dataclass(frozen=True, slots=True)
class Span:
    """One stage's work on one frame, engine clock."""

    name: str
    index: int
    start_ns: int
    end_ns: int


@dataclass(slots=True)
class Passage:
    """One frame's way through the pipeline."""

    index: int
    capture_ns: int
    due_ns: int
    spans: list[Span] = field(default_factory=list)
    pardoned: bool = False
    """it is late, but goes on: the picture must not freeze"""
    lag_ns: int = 0
    """how much later than its capture it was meant to be made, so that what is heard has been heard"""

    def add(self, name: str, start_ns: int, end_ns: int) -> None:
        self.spans.append(Span(name, self.index, start_ns, end_ns))

    def add_work(self, name: str, took_ns: int) -> None:
        """Add a span of measured work after the last one."""
        start = self.reached_ns()
        self.add(name, start, start + took_ns)

    def reached_ns(self) -> int:
        """When the last span ended."""
        return self.spans[-1].end_ns if self.spans else self.capture_ns

    def culprit(self, typical_ns: dict[str, float]) -> str:
        """Which span took most time beyond its usual: who is charged when the frame is late."""
        if not self.spans:
            return "receive"
        return max(self.spans, key=lambda s: s.end_ns - s.start_ns - typical_ns.get(s.name, 0.0)).name


class Trace:
    """Counters, percentiles and recent spans of one session. Thread-safe.

    kept: how many durations of each span the percentiles are taken over.
    """

    def __init__(self, kept: int = 2048) -> None:
        self._lock = threading.Lock()
        self._kept = kept
        self._durations: dict[str, deque[int]] = {}
        self._typical: dict[str, float] = {}
        self._recent: deque[Span] = deque(maxlen=4096)
        self._own_ns = 0.0
        self._delivered_ns: deque[int] = deque(maxlen=256)
        self.delivered = 0
        self.late = 0
        self.dropped: Counter[str] = Counter()
        self.charged: Counter[str] = Counter()

    def span(self, index: int, name: str, start_ns: int, end_ns: int) -> None:
        """Record one piece of work that was done outside the lanes (encoding, packetizing)."""
        with self._lock:
            self._record(Span(name, index, start_ns, end_ns))

    def finish(self, passage: Passage, now_ns: int) -> bool:
        """The frame was handed to the outputs; returns whether its packets will be late.

        Due is the last packet: what encoding usually takes, where anybody watches, is still to come.
        """
        late = now_ns + self._typical.get("encode", 0.0) > passage.due_ns
        with self._lock:
            for span in passage.spans:
                self._record(span)
            self._record(Span("total", passage.index, passage.capture_ns, max(now_ns, passage.reached_ns())))
            own_ns = max(now_ns, passage.reached_ns()) - passage.capture_ns - passage.lag_ns
            self._own_ns += 0.05 * (own_ns - self._own_ns) if self.delivered else own_ns
            self._delivered_ns.append(now_ns)
            self.delivered += 1
            if late:
                self.late += 1
                self.charged[passage.culprit(self._typical)] += 1
        return late

    def drop(self, passage: Passage, before: str) -> str:
        """The frame was given up before stage `before`; returns the span that is charged for it."""
        with self._lock:
            culprit = passage.culprit(self._typical)
            self.dropped[before] += 1
            self.charged[culprit] += 1
        return culprit

    def typical_ns(self, name: str) -> float:
        """Smoothed duration of a span; 0 before the first."""
        return self._typical.get(name, 0.0)

    @property
    def own_ns(self) -> float:
        """Smoothed time from capture to hand-over, without the lag that was meant."""
        return self._own_ns

    def _record(self, span: Span) -> None:
        took = span.end_ns - span.start_ns
        if span.name not in self._durations:
            self._durations[span.name] = deque(maxlen=self._kept)
            self._typical.setdefault(span.name, float(took))
        self._durations[span.name].append(took)
        self._typical[span.name] += 0.05 * (took - self._typical[span.name])
        self._recent.append(span)

    def clear(self) -> None:
        """Forget the recent past; the counters go on."""
        with self._lock:
            self._durations.clear()
            self._recent.clear()

    def fps(self, now_ns: int) -> float:
        """Delivered frames per second over the last two seconds."""
        with self._lock:
            times = [t for t in self._delivered_ns if t > now_ns - 2 * NS_PER_S]
        if len(times) < 2 or times[-1] == times[0]:
            return 0.0
        return (len(times) - 1) * NS_PER_S / (times[-1] - times[0])

    def latency_ms(self) -> dict[str, dict[str, float]]:
        """Span name -> p50, p95, p99 in ms over the recent past, in the order of the way."""
        with self._lock:
            samples = {name: np.array(values) for name, values in self._durations.items()}

        def place(name: str) -> tuple[int, int]:
            bare = name.removeprefix("wait:")
            rank = WAY.index(bare) if bare in WAY else len(WAY)
            return rank, not name.startswith("wait:")

        return {
            name: {
                f"p{q}": round(float(np.percentile(samples[name], q)) / NS_PER_MS, 3) for q in (50, 95, 99)
            }
            for name in sorted(samples, key=place)
        }

    def durations_ms(self, name: str) -> list[float]:
        """The recent durations of one span, oldest first."""
        with self._lock:
            return [d / NS_PER_MS for d in self._durations.get(name, ())]

    def perfetto(self, session: str) -> dict[str, Any]:
        """The recent spans in the Trace Event Format, one row per span name; opens in ui.perfetto.dev."""
        with self._lock:
            spans = list(self._recent)
        rows = {name: row for row, name in enumerate(dict.fromkeys(s.name for s in spans), start=1)}
        events: list[dict[str, Any]] = [
            {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": f"mien session {session}"}}
        ]
        events += [
            {"ph": "M", "name": "thread_name", "pid": 1, "tid": row, "args": {"name": name}}
            for name, row in rows.items()
        ]
        events += [
            {
                "ph": "X",
                "name": s.name,
                "pid": 1,
                "tid": rows[s.name],
                "ts": s.start_ns / 1000,
                "dur": (s.end_ns - s.start_ns) / 1000,
                "args": {"frame": s.index},
            }
            for s in spans
        ]
        return {"traceEvents": events, "displayTimeUnit": "ms"}
