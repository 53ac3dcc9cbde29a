"""The engine's own stages; they come through the same door as every plugin's."""

from __future__ import annotations

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="mien",
    summary="the engine's own stages",
    provides=(
        Provides(Kind.SOURCE, "demo", "mien.drive.sources:DemoSource", "the built-in demo performance"),
        Provides(
            Kind.SOURCE, "performance", "mien.drive.sources:PerformanceSource", "a recorded performance"
        ),
        Provides(
            Kind.TRACKER, "fit", "mien.face.tracker:LandmarkTracker", "3DMM fit to landmarks, on the CPU"
        ),
        Provides(
            Kind.LISTENER,
            "speech",
            "mien.voice.listener:SpeechListener",
            "a small network that reads lips' motion off a voice",
        ),
    ),
    warm="mien.face.warming:warm",
)
