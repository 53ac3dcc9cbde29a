"""How far sound and picture are apart where they are watched: `python benchmarks/av_offset.py --json OUT`.

A clapperboard drives a session: once a second the mouth opens wide, which is rendered as a white picture, and a tone
sounds. The stream goes through driver, renderer, sound delay, encoders and WHEP into a real Chromium, which tells when
it shows the white picture and when it plays the tone; and to a second viewer, which tells when both were captured by
the stream's own time stamps and reports. Streams that are shifted on purpose show that the measurement finds what is
there. Positive: the sound comes too late.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

import numpy as np

from chromium import FLAGS, engine_process, find_chromium
from machine import machine
from mien.clock import NS_PER_MS, NS_PER_S
from mien.config import load_config
from mien.engine import MAIN, Engine
from mien.plugins import Registry
from mien.stage import Kind, Plugin, Provides
from mien.testing.flashes import FlashSource
from mien.testing.stages import GreyRenderer, LoudListener
from watching import RATES, Viewer, watching

HERE = Path(__file__).parent
SIDE = 128
RENDER_S = 0.02
"""Drawing a picture takes as long as that of a person."""
ATTEMPTS = 3
LEAST = 5
"""Flashes whose beginning was seen and heard; of fewer no median is worth anything."""
UNSTEADY_MS = 50.0
"""Half of the offsets are within so much of each other, or it is a player that stopped and started."""
FRAME_MS = 40.0
SHIFTS_MS = (0.0, 40.0, -40.0, 80.0, -80.0)


class FlashRegistry(Registry):
    """All that is installed, with a renderer that paints grey levels and a listener that hears loudness."""

    def __init__(self, real: Registry) -> None:
        self._real = real
        own = (Provides(Kind.LISTENER, "loud", "-:-", rank=1000),)
        super().__init__([*real.plugins, Plugin("flashes", "benchmark", own)], real.broken)

    def create(self, kind: Kind, name: str | None = None, *arguments: Any) -> Any:
        if kind is Kind.RENDERER:
            return GreyRenderer(lambda params: time.sleep(RENDER_S), SIDE)
        if kind is Kind.LISTENER and name in (None, "loud"):
            return LoudListener()
        return self._real.create(kind, name, *arguments)


async def serve(shift_ms: float, *, voice: bool) -> None:
    """Run an engine with the clapperboard until standard input ends; says its address first."""
    config = load_config(None, ["server.port=0", f"video.size={SIDE}", "video.adaptive=false"])
    engine = Engine(config, FlashRegistry(Registry.discover()))
    gateway = engine.registry.create(Kind.GATEWAY)
    try:
        address = await gateway.start(engine)
        session = await engine.open_session(MAIN)
        source = FlashSource(shift_ms, voice=voice)
        await (session.attach_voice(source) if voice else session.attach_source(source))
        print(address, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        print(json.dumps(session.snapshot()), flush=True)
    finally:
        await gateway.stop()
        await engine.close()


class Second:
    """A viewer on a thread of its own, beside the browser."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._over: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._up = threading.Event()
        self._viewer: Viewer | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()))

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._over is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _watch(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with watching(self._base) as self._viewer:
                self._up.set()
                await self._over.wait()
        finally:
            self._up.set()

    def offsets(self) -> tuple[list[float], list[float]]:
        """For each flash whose first picture is there: how much later the beep was captured, and came, ms."""
        if self._viewer is None:
            return [], []
        video, audio = self._viewer.video, self._viewer.audio
        flashes = [
            (video.captured_ns(came.rtp), came.came_ns)
            for last, came in itertools.pairwise(video.received)
            if came.values.mean() > 128 >= last.values.mean()
            and 0 < came.rtp - last.rtp <= 1.5 * FRAME_MS * RATES["video"] / 1000
        ]
        beeps, silent_ns = [], 0
        for came in audio.received:
            loud = np.abs(came.values) > 0.1
            if loud.any() and silent_ns > NS_PER_S // 10:
                start = int(loud.argmax())
                after_ns = start * NS_PER_S // RATES["audio"]
                beeps.append((audio.captured_ns((came.rtp + start) % (1 << 32)), came.came_ns + after_ns))
            silent_ns = 0 if loud.any() else silent_ns + len(loud) * NS_PER_S // RATES["audio"]
        if not beeps:
            return [], []
        pairs = [(flash, min(beeps, key=lambda beep: abs(beep[0] - flash[0]))) for flash in flashes]
        near = [(one, other) for one, other in pairs if abs(one[0] - other[0]) < 400 * NS_PER_MS]
        captured, came_apart = ([(other[k] - one[k]) / NS_PER_MS for one, other in near] for k in (0, 1))
        return captured, came_apart


def watch(shift_ms: float, seconds: float, warmup: float, *, voice: bool = False) -> dict[str, Any]:
    """One stream, watched in Chromium: what the page saw, with the engine's snapshot and what the second viewer got."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, str(HERE / "av_offset.py"), "--serve", f"--shift={shift_ms}"]
    with engine_process([*command, *(["--voice"] if voice else [])]) as (engine, say, told):
        base = told.readline().strip().rstrip("/")
        if not base:
            raise RuntimeError("The engine did not start; what it said stands above.")
        with sync_playwright() as playwright, Second(base) as second:
            browser = playwright.chromium.launch(executable_path=find_chromium() or None, args=list(FLAGS))
            page = browser.new_context(bypass_csp=True).new_page()
            page.goto(base + "/api/status")
            argument = {"base": base, "seconds": seconds, "warmup": warmup}
            seen: dict[str, Any] = page.evaluate((HERE / "av_offset.js").read_text(), argument)
            browser.close()
            seen["captured"], seen["came"] = second.offsets()
        say.close()
        seen["engine"] = json.loads(told.readline())
        engine.wait(timeout=10)
        return seen


def offsets_ms(
    flashes: list[tuple[float, float]], beeps: list[float], player: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    """For each flash whose first picture was shown: how much later the beep nearest to it was, ms, and how much of that
    was the player's doing at that moment; pairs further apart than 400 ms are none.

    flashes: when, and how much earlier the picture before it was captured, ms. player: when, and by how much.
    """
    found = []
    for flash, since in flashes:
        beep = min(beeps, key=lambda at: abs(at - flash), default=float("inf"))
        if since <= 1.5 * FRAME_MS and abs(beep - flash) < 400:
            by = min(player, key=lambda one: abs(one[0] - flash), default=(0.0, 0.0))[1]
            found.append((beep - flash, by))
    return found


def steady(offsets: list[float]) -> bool:
    """Whether enough was found, and the middle half of it agrees."""
    if len(offsets) < LEAST:
        return False
    low, _, high = statistics.quantiles(offsets, n=4)
    return high - low < UNSTEADY_MS


def av_offset(
    shift_ms: float = 0.0, seconds: float = 20.0, warmup: float = 16.0, *, voice: bool = False
) -> dict[str, Any]:
    """Median offset of sound and picture, ms, positive when the sound is late; and how it was found.

    `captured_ms` is the stream's own, by its time stamps and reports; `came_ms` how far apart both come. `median_ms` is
    what Chromium plays, and `player_ms` how far apart its jitter buffers keep the two, in its own figures: part of
    `median_ms` that no stream can help, and that `stream_ms` is without. On a busy machine it is 30 ms, below which
    Chromium corrects nothing, and for seconds ten times as much.
    shift_ms: how much too late the sound is made, on purpose. voice: the sound itself opens the mouth, by a listener
    with 120 ms of look-ahead. Measured again, at most twice, while the machine is too busy to play without stopping;
    after that the last one is given as it was, with `steady` false. Only flashes count whose first picture was shown.
    Raises `RuntimeError` when there were none.
    """
    for attempt in range(1, ATTEMPTS + 1):
        seen = watch(shift_ms, seconds, warmup, voice=voice)
        found = offsets_ms(seen["flashes"], seen["beeps"], seen["player"])
        played = [offset for offset, _ in found]
        if steady(played) or attempt == ATTEMPTS:
            break
    if not played or not seen["captured"]:
        raise RuntimeError(
            f"Nothing was found to measure: {len(seen['flashes'])} flashes and {len(seen['beeps'])} beeps came to "
            f"Chromium, {len(seen['captured'])} pairs to the other viewer. The machine is too busy (load "
            f"{os.getloadavg()[0]:.1f})."
        )
    return {
        "captured_ms": round(statistics.median(seen["captured"]), 1),
        "captured_offsets_ms": [round(offset, 1) for offset in sorted(seen["captured"])],
        "came_ms": round(statistics.median(seen["came"]), 1),
        "median_ms": round(statistics.median(played), 1),
        "player_ms": round(statistics.median(by for _, by in found), 1),
        "stream_ms": round(statistics.median(offset - by for offset, by in found), 1),
        "offsets_ms": [round(offset, 1) for offset in sorted(played)],
        "steady": steady(played),
        "attempts": attempt,
        "load_average": round(os.getloadavg()[0], 1),
        "sound_delay_ms": seen["engine"]["sound_delay_ms"],
        "seen": seen,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--shift", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--voice", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.shift, voice=arguments.voice))
        return
    results: dict[str, Any] = {}
    for name, shift_ms, voice in (
        *((f"shifted by {shift:+g} ms", shift, False) for shift in SHIFTS_MS),
        ("driven by the voice", 0.0, True),
    ):
        try:
            found = av_offset(shift_ms, arguments.seconds, voice=voice)
        except RuntimeError as error:
            results[name] = {"error": str(error)}
            print(f"{name:24} {error}", flush=True)
            continue
        results[name] = {key: value for key, value in found.items() if key != "seen"}
        low, high = found["offsets_ms"][0], found["offsets_ms"][-1]
        print(
            f"{name:24} captured {found['captured_ms']:6.1f} ms; came {found['came_ms']:.1f} ms; "
            f"played {found['median_ms']:.1f} ms ({low:.1f} to {high:.1f}{'' if found['steady'] else ', unsteady'}), "
            f"{found['stream_ms']:.1f} ms without the {found['player_ms']:.1f} ms of the player's buffers",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results | {"machine": machine()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
