"""How far one driver's face goes, learnt while it moves, so that everybody's blink closes and lips meet.

A fit reports one person's full blink as 0.8 and another's closed lips as a little open; some people hardly
move their brows. What the driver was seen to do corrects the transfer: slowly, within narrow bounds, and
the same for the same frames.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mien.clock import NS_PER_S
from mien.drive.following import covered
from mien.face.lips import parted
from mien.face.retargeting import BLINK, Reference
from mien.face.rig import INDEX, names_mask
from mien.frames import FaceParams

_MOST_LIPS_CLOSED = 0.035
"""Of jawOpen: who holds the mouth further open than this holds it open."""
_LIPS_CLOSED_SHARE, _LIPS_PER_S = 0.15, 0.012
"""Talkers' lips touch for this share of the time; and how fast what is known of that changes, in jawOpen."""

_BLINKING, _OPEN_AGAIN = 0.5, 0.3
_FULL_BLINK = 0.92
_MOST_BLINK_GAIN = 1.35
_BLINK_LEARNED = 0.35
"""Share of a blink's peak in what is known of all of them."""

_LIDS = np.flatnonzero(BLINK)
_SMILES = [INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]
_BROWS = [INDEX["browInnerUp"], INDEX["browOuterUpLeft"], INDEX["browOuterUpRight"]]
_REGIONS = tuple(
    np.flatnonzero(names_mask(*stems))
    for stems in (("jawOpen",), ("mouthSmile", "mouthDimple", "cheekSquint"), ("brow",))
)
_USUAL = (0.30, 0.45, 0.40)
"""How far talkers open the mouth (in units of jawOpen), smile and raise their brows now and then."""
_RISE_S, _FALL_S = 0.3, 40.0
_LEAST_SHARE = 0.8
"""Who reaches this share of the usual is amplified most; who hardly moves at all is not: that is noise."""


class Reach:
    """One driver's reach. Starts from what is usual, where it changes nothing."""

    def __init__(self) -> None:
        self._lips: float | None = None
        self._blinking = [0.0, 0.0]
        self._blinks = [_FULL_BLINK, _FULL_BLINK]
        self._furthest = list(_USUAL)
        self._before_ns: int | None = None

    def calibrated(self) -> None:
        """The driver has just shown a neutral face: how it closes its lips is told by that."""
        self._lips = None

    def adapted(self, driver: Reference, params: FaceParams) -> Reference:
        """`driver` with what this and all frames before tell. Frames are taken by their capture times."""
        elapsed_s = 0.0
        if self._before_ns is not None:
            elapsed_s = min(max((params.capture_ns - self._before_ns) / NS_PER_S, 0.0), 0.2)
        self._before_ns = params.capture_ns
        apart = parted(params.expression)
        lips = self._follow_lips(apart, driver.lips_closed, elapsed_s)
        change = params.expression - driver.neutral
        self._follow_blinks((change[_LIDS] * driver.gains[_LIDS]).tolist())
        brows = max(change[_BROWS].tolist())
        self._follow_reach((apart - lips, sum(change[_SMILES].tolist()) / 2, brows), elapsed_s)

        gains = driver.gains.copy()
        for region, furthest, usual in zip(_REGIONS, self._furthest, _USUAL, strict=True):
            if furthest < usual:
                gains[region] *= np.float32(_gain(furthest / usual))
        for lid, peak in zip(_LIDS, self._blinks, strict=True):
            if peak < _FULL_BLINK:
                gains[lid] *= min(_FULL_BLINK / peak, _MOST_BLINK_GAIN)
        return replace(driver, gains=gains, lips_closed=lips)

    def _follow_lips(self, apart: float, at_rest: float, elapsed_s: float) -> float:
        lips = at_rest if self._lips is None else self._lips
        step = _LIPS_PER_S * elapsed_s
        if apart < lips:
            lips = max(lips - (1 - _LIPS_CLOSED_SHARE) * step, apart)
        else:
            lips = min(lips + _LIPS_CLOSED_SHARE * step, apart)
        self._lips = min(max(lips, 0.0), max(_MOST_LIPS_CLOSED, at_rest))
        return self._lips

    def _follow_blinks(self, lids: list[float]) -> None:
        """lids: left and right, how far they are closed, before what was learnt."""
        for side, closed in enumerate(lids):
            if closed >= _OPEN_AGAIN:
                self._blinking[side] = max(self._blinking[side], closed)
                continue
            if self._blinking[side] > _BLINKING:
                peak = min(max(self._blinking[side], _FULL_BLINK / _MOST_BLINK_GAIN), 1.0)
                self._blinks[side] += _BLINK_LEARNED * (peak - self._blinks[side])
            self._blinking[side] = 0.0

    def _follow_reach(self, now: tuple[float, float, float], elapsed_s: float) -> None:
        """now: how far open the mouth is, the smile, the brows."""
        for region, value in enumerate(now):
            over = value - self._furthest[region]
            rate = covered(elapsed_s, _RISE_S if over > 0 else _FALL_S)
            self._furthest[region] = max(self._furthest[region] + over * rate, 0.0)


def _gain(share: float) -> float:
    """What movements of a region count for whose reach is that share of the usual."""
    return 1 / share if share > _LEAST_SHARE else 1 + (1 / _LEAST_SHARE - 1) * share / _LEAST_SHARE
