"""How far sound and picture are apart where they are watched: `python benchmarks/av_offset.py --json OUT`.

A clapperboard drives a session: once a second the mouth opens wide, which is rendered as a white picture, and a tone
sounds. The stream goes through driver, renderer, sound delay, encoders and WHEP into a real Chromium, which tells when
it shows the white picture and when it plays the tone. Streams that are shifted on purpose show that the measurement
finds what is there. Positive: the sound comes too late.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from chromium import FLAGS, engine_process, find_chromium
from machine import machine
from mien.config import load_config
from mien.engine import MAIN, Engine
from mien.plugins import Registry
from mien.stage import Kind, Plugin, Provides
from mien.testing.flashes import FlashSource
from mien.testing.stages import GreyRenderer, LoudListener

HERE = Path(__file__).parent
SIDE = 128
RENDER_S = 0.02
"""Drawing a picture takes as long as that of a person."""
ATTEMPTS = 3
UNSTEADY_MS = 50.0
"""Offsets that are further apart than that are those of a player that stopped and started."""
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


def watch(shift_ms: float, seconds: float, warmup: float, *, voice: bool = False) -> dict[str, Any]:
    """One stream, watched in Chromium: what the page saw, with the engine's snapshot."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, str(HERE / "av_offset.py"), "--serve", f"--shift={shift_ms}"]
    with engine_process([*command, *(["--voice"] if voice else [])]) as (engine, say, told):
        base = told.readline().strip().rstrip("/")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_chromium() or None, args=list(FLAGS))
            page = browser.new_context(bypass_csp=True).new_page()
            page.goto(base + "/api/status")
            argument = {"base": base, "seconds": seconds, "warmup": warmup}
            seen: dict[str, Any] = page.evaluate((HERE / "av_offset.js").read_text(), argument)
            browser.close()
        say.close()
        seen["engine"] = json.loads(told.readline())
        engine.wait(timeout=10)
        return seen


def offsets_ms(flashes: list[float], beeps: list[float]) -> list[float]:
    """For each flash: how much later the beep nearest to it was, ms; pairs further apart than 400 ms are none."""
    pairs = [(min(beeps, key=lambda beep: abs(beep - flash)) - flash) for flash in flashes if beeps]
    return [offset for offset in pairs if abs(offset) < 400]


def av_offset(
    shift_ms: float = 0.0, seconds: float = 12.0, warmup: float = 16.0, *, voice: bool = False
) -> dict[str, Any]:
    """Median offset of sound and picture in Chromium, ms, positive when the sound is late; and how it was found.

    `player_ms` is how far apart Chromium's jitter buffers keep the two, in its own figures: part of `median_ms` that no
    stream can help, and that `stream_ms` is without. On a busy machine it is up to 30 ms, below which Chromium corrects
    nothing.
    shift_ms: how much too late the sound is made, on purpose. voice: the sound itself opens the mouth, by a listener
    with 120 ms of look-ahead. Measured again, at most twice, while the machine is too busy to play without stopping.
    """
    for _ in range(ATTEMPTS):
        seen = watch(shift_ms, seconds, warmup, voice=voice)
        found = sorted(offsets_ms(seen["flashes"], seen["beeps"]))
        if len(found) >= 3 and found[-2] - found[1] < UNSTEADY_MS:  # one may be an outlier on either side
            break
    else:
        raise RuntimeError("Chromium did not play steadily; measure on a machine that has time for it")
    player_ms = statistics.median(seen["player"] or [0.0])
    return {
        "median_ms": round(statistics.median(found), 1),
        "player_ms": round(player_ms, 1),
        "stream_ms": round(statistics.median(found) - player_ms, 1),
        "offsets_ms": [round(offset, 1) for offset in found],
        "sound_delay_ms": seen["engine"]["sound_delay_ms"],
        "seen": seen,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=12)
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
        found = av_offset(shift_ms, arguments.seconds, voice=voice)
        results[name] = {key: value for key, value in found.items() if key != "seen"}
        low, high = min(found["offsets_ms"]), max(found["offsets_ms"])
        print(
            f"{name:24} {found['median_ms']:7.1f} ms  ({low:.1f} to {high:.1f}), "
            f"{found['stream_ms']:.1f} ms without the {found['player_ms']:.1f} ms of the player's buffers",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results | {"machine": machine()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
