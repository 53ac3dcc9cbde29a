"""/metrics in the Prometheus text format, read off the sessions when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mien.engine import Engine

QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}


class EngineCollector(Collector):
    """What `Session.snapshot` says, under stable names."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        engine = self._engine
        yield GaugeMetricFamily("mien_sessions", "Open sessions", len(engine.sessions))
        yield GaugeMetricFamily("mien_sessions_max", "Sessions that fit", engine.max_sessions)
        label = ["session"]
        delivered = CounterMetricFamily("mien_frames", "Pictures handed to the outputs", labels=label)
        late = CounterMetricFamily("mien_frames_late", "Of those, how many past their budget", labels=label)
        dropped = CounterMetricFamily(
            "mien_frames_dropped", "Pictures given up, by place", labels=["session", "where"]
        )
        fps = GaugeMetricFamily("mien_fps", "Pictures per second", labels=label)
        viewers = GaugeMetricFamily("mien_viewers", "Viewers over the network", labels=label)
        level = GaugeMetricFamily("mien_quality_level", "Rung of the ladder, 0 is the best", labels=label)
        latency = GaugeMetricFamily(
            "mien_stage_latency_seconds",
            "Time per frame over the recent past",
            labels=["session", "stage", "quantile"],
        )
        for session in list(engine.sessions.values()):
            name, told = session.name, session.snapshot()
            delivered.add_metric([name], told["frames"])
            late.add_metric([name], told["late"])
            for where, count in told["dropped"].items():
                dropped.add_metric([name, where], count)
            fps.add_metric([name], told["fps"])
            viewers.add_metric([name], told["viewers"])
            level.add_metric([name], told["level"])
            for stage, values in told["latency_ms"].items():
                for key, quantile in QUANTILES.items():
                    latency.add_metric([name, stage, quantile], values[key] / 1000)
        yield from (delivered, late, dropped, fps, viewers, level, latency)


def router(engine: Engine) -> APIRouter:
    """GET /metrics."""
    registry = CollectorRegistry()
    registry.register(EngineCollector(engine))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    routes = APIRouter()

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return routes
