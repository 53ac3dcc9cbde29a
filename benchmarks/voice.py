"""How well a voice moves the mouth: `python benchmarks/voice.py --json OUT`, on clips that nothing was learned from.

The truth is the opening of the lips as our tracker sees it (in units of jawOpen, `mien.face.lips`), the answer that of
the whole live listener, fed in frames of 20 ms: resampling, features, network, activity. Needs the reference clips
(`--data`), and PocketSphinx for one of the baselines.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import wavfile

from machine import machine
from mien.clock import NS_PER_S
from mien.config import VoiceSection, cache_dir
from mien.face.lips import PARTING
from mien.frames import AudioFrame, Float
from mien.plugins import Registry
from mien.stage import Kind
from mien.testing.context import FakeContext
from mien.voice.articulation import CHANNEL
from mien.voice.listener import SpeechListener
from mien.voice.resample import RATE
from mien_train.corpus import Tracked, curves, sixteen, tracked
from mien_train.recipe import HELD_OUT, HELD_OUT_CURVES, grid_files, grid_strangers, track
from reference import Reference
from voice_baselines import PhonemeMouth, energy_opening
from voice_sync import GRID_S, SURE, Seen, agreement, windows

FRAME = RATE // 50
WITNESSES = ("energy", "pocketsphinx")
"""The baselines that are asked whether sound and picture of a clip belong together (`voice_sync`)."""
LABIAL = ("b", "p", "m")
NEAR_S = 0.08
"""Two frames."""
SHIFTS_MS = (0.0, 40.0, -40.0, 80.0, -80.0)
SHUT = 0.12
"""Lips count as closed below that share of the clip's own wide opening (95th percentile)."""


@dataclass(frozen=True, slots=True)
class Part:
    """A held-out clip. sound: 16 kHz; opening at times_s; onsets_s: of words that begin with lips closed."""

    sound: Float
    times_s: Float
    opening: Float
    onsets_s: Float


Trial = list[Part]
"""What is judged together: one clip, or the sentences of one corpus, each heard by itself."""

Mouth = Callable[[Float, Float], Float]
"""(sound, times_s) -> opening."""


def listener_mouth(context: FakeContext) -> Mouth:
    """The live listener on 20 ms frames, its answers interpolated."""

    def opening(sound: Float, times_s: Float) -> Float:
        listener = SpeechListener()
        listener.open(context)
        padded = np.concatenate([sound, np.zeros(RATE // 4, np.float32)])
        answers = []
        for first in range(0, len(padded), FRAME):
            samples = padded[first : first + FRAME, None].copy()
            answers += listener.process(AudioFrame(samples, RATE, first * NS_PER_S // RATE))
        listener.close()
        at = [answer.capture_ns / NS_PER_S for answer in answers]
        return np.interp(times_s, at, [answer.expression @ PARTING for answer in answers]).astype(np.float32)

    return opening


def _correlation(one: Float, other: Float) -> float:
    if one.std() < 1e-6 or other.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _shut_at(part: Part, opening: Float, wide: float, moments_s: Float) -> list[bool]:
    """Whether the lips are closed within two frames of each moment."""
    near = [opening[np.abs(part.times_s - moment) <= NEAR_S] for moment in moments_s]
    return [bool(values.min() < SHUT * wide) for values in near if len(values)]


def score(trial: Trial, mouth: Mouth) -> dict[str, float]:
    """The figures of one way to move the mouth on one set.

    Of several sentences each is taken about its own mean: people differ in how far their mouths open at rest.
    """
    openings = [mouth(part.sound, part.times_s) for part in trial]
    said = np.concatenate([opening - opening.mean() for opening in openings])
    wanted = np.concatenate([part.opening - part.opening.mean() for part in trial])
    figures = {"mouth_correlation": _correlation(said, wanted)}
    return figures | (_closures(trial, openings) if any(len(part.onsets_s) for part in trial) else {})


def _closures(trial: Trial, openings: list[Float]) -> dict[str, float]:
    """Closures where they belong, and at random times from the first such word on to the end of the last."""
    wide = float(np.percentile(np.concatenate(openings), 95))
    rng = np.random.default_rng(0)
    there: list[bool] = []
    anywhere: list[bool] = []
    for part, opening in zip(trial, openings, strict=True):
        if not len(part.onsets_s):
            continue
        there += _shut_at(part, opening, wide, part.onsets_s)
        moments = rng.uniform(part.onsets_s[0], part.onsets_s[-1] + 0.3, 40)
        far = np.abs(moments[:, None] - part.onsets_s[None, :]).min(axis=1) > 2 * NEAR_S
        anywhere += _shut_at(part, opening, wide, moments[far])
    return {"closure_recall": float(np.mean(there)), "closure_at_random": float(np.mean(anywhere))}


def sync_evidence(trial: Trial, mouths: dict[str, Mouth]) -> dict[str, Any]:
    """How sure `mouths` are that the sound of a set is that of the mouths in its picture, and in how many stretches of
    10 s they would be. What they don't show isn't disproved: 10 s can be too little.
    """
    found: dict[str, Any] = {}
    told: list[list[bool]] = []
    for name, mouth in mouths.items():
        seen = [
            Seen(part.times_s, part.opening, mouth(part.sound, np.arange(0, len(part.sound) / RATE, GRID_S)))
            for part in trial
        ]
        whole = agreement(seen)
        found[name] = {"correlation": whole.correlation, "lag_ms": 1000 * whole.lag_s, "chance": whole.chance}
        told.append([agreement([stretch]).chance <= SURE for part in seen for stretch in windows(part)])
    found["shown"] = any(found[name]["chance"] <= SURE for name in mouths)
    found["stretches"] = len(told[0])
    found["stretches_shown"] = sum(any(each) for each in zip(*told, strict=True))
    return found


# --- what was held out ----------------------------------------------------------------------------------


def trials(data: Path, cache: Path) -> dict[str, Trial]:
    """The held-out clips by name."""
    found: dict[str, Trial] = {}
    for name, (start_s, end_s) in HELD_OUT.items():
        seen = tracked(track(data / "talk" / f"{name}.mp4", cache, _tell), start_s, end_s)
        found[name] = [_part(seen)]
    groups = {"grid_1": grid_files(data, learned=False), "grid_strangers": grid_strangers(data)}
    for name, files in groups.items():
        found[name] = [_part(tracked(track(file, cache, _tell)), _labials(file)) for file in files]
    mandarin = curves(data / "audio2blendshape", HELD_OUT_CURVES)
    rate, pcm = wavfile.read(data / "audio2blendshape" / f"1114_{HELD_OUT_CURVES}.wav")
    times_s = np.arange(0, len(mandarin.mel), 3) / 100 - 0.0025
    opening = mandarin.code[::3, CHANNEL["opening"]]
    sound = sixteen((pcm / 32768).astype(np.float32), rate)
    found["mandarin_3_15"] = [Part(sound, times_s.astype(np.float32), opening, np.zeros(0, np.float32))]
    return found


def _part(seen: Tracked, onsets_s: list[float] | None = None) -> Part:
    return Part(seen.sound, seen.times_s, seen.opening, np.array(onsets_s or [], np.float32))


def _labials(clip: Path) -> list[float]:
    """When words begin that begin with closed lips, s; GRID counts in 25 000ths of a second."""
    file = clip.with_suffix(".align")
    if not file.is_file():
        return []
    words = [line.split() for line in file.read_text().splitlines() if line.strip()]
    return [int(start) / 25_000 for start, _, word in words if word.startswith(LABIAL)]


def _tell(text: str) -> None:
    print(text, flush=True)


# --- cost -----------------------------------------------------------------------------------------------


def cost(context: FakeContext, seconds: float = 8.0) -> dict[str, float]:
    """CPU of the whole listener per 40 ms of stereo sound at 48 kHz, raw and scaled to the reference machine."""
    reference = Reference()
    listener = SpeechListener()
    listener.open(context)
    sound = (np.random.default_rng(0).normal(size=(48_000, 2)) * 0.05).astype(np.float32)
    taken = []
    for index in range(round(seconds * 25)):
        first = index * 1920 % 46_080
        frame = AudioFrame(sound[first : first + 1920].copy(), 48_000, index * 40_000_000)
        reference.measure()
        start = time.thread_time_ns()
        listener.process(frame)
        taken.append((time.thread_time_ns() - start) / 1e6)
    listener.close()
    raw = statistics.median(taken[5:])
    return {"cpu_ms_per_40ms_raw": raw, "cpu_ms_per_40ms": raw * reference.scale}


# --- all of it ------------------------------------------------------------------------------------------


def context_of(model: Path | None, look_ahead_ms: float = 120.0) -> FakeContext:
    """A context whose listener uses `model`, on the best runtime installed."""
    registry = Registry.discover()
    voice = VoiceSection(model=model, look_ahead_ms=look_ahead_ms)
    return FakeContext(services={Kind.RUNTIME: lambda: registry.create(Kind.RUNTIME)}, voice=voice)


def measure(data: Path, cache: Path, model: Path | None, without: Path | None) -> dict[str, Any]:
    """Everything, as it goes into the JSON file. without: a network that learned no Mandarin."""
    held_out = trials(data, cache)
    mouth = listener_mouth(context_of(model))
    mouths: dict[str, Mouth] = {"energy": energy_opening}
    try:
        recogniser = PhonemeMouth()
        mouths |= {"pocketsphinx": recogniser.opening, "pocketsphinx_live": recogniser.live_opening}
    except ImportError:
        _tell("PocketSphinx is not installed: pip install pocketsphinx. Its baseline is left out.")
    result: dict[str, Any] = {
        "sets": {name: score(trial, mouth) for name, trial in held_out.items()},
        "baselines": {
            name: {where: score(trial, way) for where, trial in held_out.items()}
            for name, way in mouths.items()
        },
        "tracked": {
            name: _closures(trial, [part.opening for part in trial])
            for name, trial in held_out.items()
            if any(len(part.onsets_s) for part in trial)
        },
    }
    witnesses = {name: mouths[name] for name in WITNESSES if name in mouths}
    result["sync"] = {name: sync_evidence(trial, witnesses) for name, trial in held_out.items()}
    if without is not None:
        unheard = listener_mouth(context_of(without))
        result["sets"]["mandarin_3_15_unlearned"] = score(held_out["mandarin_3_15"], unheard)
    near = listener_mouth(context_of(model, 40.0))
    result["look_ahead_40ms"] = {
        name: score(trial, near)["mouth_correlation"] for name, trial in held_out.items()
    }
    result |= means(result)
    return result | cost(context_of(model))


def means(result: dict[str, Any]) -> dict[str, Any]:
    """Mean correlations over all sets that are held out but the Mandarin one, whose truth is another."""
    held_out = [name for name in result["sets"] if not name.startswith("mandarin")]
    ways = {"listener": result["sets"], **result["baselines"]}
    return {
        "mean_mouth_correlation": {
            way: statistics.mean(figures[name]["mouth_correlation"] for name in held_out)
            for way, figures in ways.items()
        }
    }


def in_chromium() -> dict[str, dict[str, float]]:
    """By how much the sound was made late, ms -> how late it was found: as played, without what the player says of
    itself, and by the stream's own time stamps and reports.
    """
    from av_offset import av_offset

    found = {}
    for shift_ms in SHIFTS_MS:
        seen = av_offset(shift_ms)
        names = {"played": "median_ms", "stream": "stream_ms", "captured": "captured_ms"}
        found[f"{shift_ms:+.0f}"] = {name: seen[key] for name, key in names.items()}
    return found


def adapted(data: Path, cache: Path) -> dict[str, Any]:
    """Before and after the listener was adapted to a stranger."""
    from voice_adaptation import adaptation

    def judge(model: Path | None, seen: Tracked) -> float:
        return score([_part(seen)], listener_mouth(context_of(model)))["mouth_correlation"]

    return adaptation(data, cache, judge, _tell)


def _table(result: dict[str, Any]) -> None:
    ways = {"listener": result["sets"], **result["baselines"]}
    _tell(f"{'mouth correlation':26}" + "".join(f"{way:>19}" for way in ways))
    for name in result["sets"]:
        cells = [figures.get(name, {}).get("mouth_correlation") for figures in ways.values()]
        _tell(f"{name:26}" + "".join(f"{'' if c is None else format(c, '.2f'):>19}" for c in cells))
    for name, figures in {**ways, "tracked": result["tracked"]}.items():
        for where, values in figures.items():
            if "closure_recall" in values:
                _tell(
                    f"lips closed at b, p, m: {name:12} {where:10} {values['closure_recall']:.2f}, "
                    f"at random {values['closure_at_random']:.2f}"
                )
    for name, evidence in result["sync"].items():
        seen = ", ".join(
            f"{way} {evidence[way]['correlation']:.2f} at {evidence[way]['lag_ms']:+.0f} ms, by chance "
            f"{evidence[way]['chance']:.3f}"
            for way in WITNESSES
            if way in evidence
        )
        _tell(f"{name:26} {'in sync' if evidence['shown'] else 'not shown to be in sync'}: {seen}")
    cells = [result["mean_mouth_correlation"][way] for way in ways]
    _tell(f"{'mean':26}" + "".join(f"{cell:>19.2f}" for cell in cells))
    if "av_offset_ms" in result:
        _tell(
            f"sound behind the picture in Chromium, ms, by how much it was made late: {result['av_offset_ms']}"
        )
    if "adaptation" in result:
        _tell(
            f"adapted to a person: {result['adaptation']['mean_before']:.2f} before, "
            f"{result['adaptation']['mean_after']:.2f} after"
        )
    _tell(
        f"CPU per 40 ms of sound: {result['cpu_ms_per_40ms']:.2f} ms ({result['cpu_ms_per_40ms_raw']:.2f} raw)"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument(
        "--cache", type=Path, default=cache_dir() / "tracked", help="where tracked clips are kept"
    )
    parser.add_argument("--model", type=Path, help="another network than the one that ships")
    parser.add_argument("--without", type=Path, help="a network that learned no Mandarin, to compare with")
    parser.add_argument(
        "--av-offset", action="store_true", help="also measure the finished stream in Chromium: 4 minutes"
    )
    parser.add_argument(
        "--adaptation", action="store_true", help="also adapt it to a person and measure that: 5 minutes"
    )
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    result = measure(arguments.data, arguments.cache, arguments.model, arguments.without)
    if arguments.av_offset:
        result["av_offset_ms"] = in_chromium()
    if arguments.adaptation:
        result["adaptation"] = adapted(arguments.data, arguments.cache)
    # A machine that is busy already spoils the offsets in Chromium, which nothing scales.
    result["machine"] = machine() | {"load_before": load}
    _table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
