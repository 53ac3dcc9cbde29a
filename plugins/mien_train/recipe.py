"""What the shipped network learned from, and what it never heard before it was tested."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.errors import MediaError
from mien_train.corpus import Clip, clips_of, curves, english, synthetic, tracked

SPEEDS = (88, 94, 100, 107, 115)
"""Percent: few people are in the tracked clips, so each also speaks slower and lower, quicker and higher."""

TALK: dict[str, tuple[float, float]] = {
    "anchor_71s_512": (0.0, 55.0),
    "short_2": (0.0, 1e9),
    "mead_W036_level_3_happy_007": (0.0, 1e9),
    "mead_M030_level_3_angry_016": (0.0, 1e9),
    "mead_M030_sad_3_001": (0.0, 1e9),
    "mead_M003_level_1_disgusted_015": (0.0, 1e9),
}
"""Clips to learn from, with the stretch in s."""
GRID_SPEAKER, GRID_LEARNED = "bb", "bba"
"""Of the 30 sentences of GRID's first speaker those that begin so are learned from."""
CURVES = ("2_01", "2_02", "2_03")

HELD_OUT: dict[str, tuple[float, float]] = {
    "anchor_71s_512": (55.0, 1e9),
    "room_24s_720p": (0.0, 1e9),
    "portrait_10s_1080p": (0.0, 1e9),
    "kitchen_20s_1080p": (0.0, 1e9),
}
HELD_OUT_CURVES = "3_15"


@dataclass(frozen=True, slots=True)
class Corpora:
    """Clips by kind; see `mien_train.corpus`."""

    synthetic: tuple[Clip, ...]
    english: tuple[Clip, ...]
    tracked: tuple[Clip, ...]
    curves: tuple[Clip, ...]

    @property
    def minutes(self) -> dict[str, float]:
        """How much of each there is."""
        kinds = {
            "espeak-ng": self.synthetic,
            "flite": self.english,
            "tracked": self.tracked,
            "curves": self.curves,
        }
        return {name: sum(len(clip.mel) for clip in clips) / 6000 for name, clips in kinds.items()}


def gather(
    data: Path | None, cache: Path, sentences: int, seed: int, mandarin: bool, tell: Callable[[str], None]
) -> Corpora:
    """All that is learned from. data: the folder with `talk/`, `grid/` and `audio2blendshape/`; None: synthetic only.
    cache: where tracked clips are kept.
    """
    made, plain = spoken(sentences, seed, tell)
    if data is None:
        return Corpora(made, plain, (), ())
    rng = np.random.default_rng(seed + 1)
    seen: list[Clip] = []
    for name, (start_s, end_s) in TALK.items():
        take = track(data / "talk" / f"{name}.mp4", cache, tell)
        seen += clips_of(name, tracked(take, start_s, end_s), rng, SPEEDS)
    for clip in grid_files(data, learned=True):
        seen += clips_of(clip.stem, tracked(track(clip, cache, tell)), rng, SPEEDS)
    folder = data / "audio2blendshape"
    drawn = [curves(folder, take) for take in CURVES] if mandarin else []
    return Corpora(made, plain, tuple(seen), tuple(drawn))


def spoken(
    sentences: int, seed: int, tell: Callable[[str], None]
) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """So many sentences of espeak-ng's, and half as many of flite's."""
    tell(f"Speaking {sentences} sentences ...")
    return tuple(synthetic(sentences, seed)), tuple(english(sentences // 2, seed + 2))


def grid_files(data: Path, *, learned: bool) -> list[Path]:
    """GRID's first speaker: the sentences that are learned from, or those that are held out."""
    files = sorted((data / "grid").glob(f"{GRID_SPEAKER}*.mpg"))
    return [file for file in files if file.stem.startswith(GRID_LEARNED) is learned]


def grid_strangers(data: Path) -> list[Path]:
    """The sentences of GRID's other speakers, all of them held out."""
    return [f for f in sorted((data / "grid").glob("*.mpg")) if not f.stem.startswith(GRID_SPEAKER)]


def track(clip: Path, cache: Path, tell: Callable[[str], None]) -> Path:
    """The tracked clip, from the cache or made now. Raises `MediaError` when it cannot be tracked."""
    out = cache / f"{clip.parent.name}_{clip.stem}.performance"
    if out.is_file():
        return out
    if not clip.is_file():
        raise MediaError(f"{clip} is missing. Give the folder that holds it, or leave --data out.")
    tell(f"Tracking {clip.name} ...")
    cache.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", "from mien.cli.main import run_app; run_app()", "track", str(clip)]
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "--out", str(out)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MediaError(f"{clip} cannot be tracked: {done.stderr.strip()}")
    return out
