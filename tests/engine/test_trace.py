"""Spans, percentiles, blame."""

import json

import pytest

from mien.clock import NS_PER_MS
from mien.trace import Passage, Trace

pytestmark = pytest.mark.unit

MS = NS_PER_MS


def passage(index=0, capture=0, budget=80, track=10, render=20):
    p = Passage(index, capture, capture + budget * MS)
    p.add("receive", capture, capture + 2 * MS)
    p.add("track", capture + 2 * MS, capture + (2 + track) * MS)
    p.add("render", capture + (2 + track) * MS, capture + (2 + track + render) * MS)
    return p


def test_percentiles_in_the_order_of_the_way():
    trace = Trace()
    for n in range(100):
        p = passage(n, n * 40 * MS, track=n)
        trace.finish(p, p.reached_ns())
    latency = trace.latency_ms()
    assert list(latency) == ["receive", "track", "render", "total"]
    assert latency["track"]["p50"] == pytest.approx(49.5)
    assert latency["track"]["p99"] == pytest.approx(98.01)
    assert trace.fps(p.reached_ns()) == pytest.approx(24.4, abs=0.6)


def test_the_stage_that_was_slower_than_usual_is_charged():
    trace = Trace()
    for n in range(50):
        p = passage(n, n * 40 * MS)
        assert not trace.finish(p, p.reached_ns())
    slow = passage(50, 50 * 40 * MS, track=75, render=21)
    assert trace.finish(slow, slow.reached_ns())
    assert trace.charged == {"track": 1}
    stuck = passage(51, 51 * 40 * MS, track=90)
    stuck.spans.pop()
    assert trace.drop(stuck, "render") == "track"
    assert trace.dropped == {"render": 1}
    assert (trace.late, trace.delivered) == (1, 51)


def test_a_frame_that_only_waited_charges_the_queue():
    trace = Trace()
    p = Passage(0, 0, 80 * MS)
    p.add("receive", 0, 1 * MS)
    p.add("wait:track", 1 * MS, 100 * MS)
    assert trace.drop(p, "track") == "wait:track"


def test_perfetto_export_is_valid_trace_event_json():
    trace = Trace()
    p = passage()
    trace.finish(p, p.reached_ns())
    trace.span(0, "encode", 33 * MS, 36 * MS)
    document = json.loads(json.dumps(trace.perfetto("main")))
    complete = [e for e in document["traceEvents"] if e["ph"] == "X"]
    assert {e["name"] for e in complete} == {"receive", "track", "render", "total", "encode"}
    assert next(e for e in complete if e["name"] == "encode")["dur"] == 3000.0
    assert len({e["tid"] for e in complete}) == 5
