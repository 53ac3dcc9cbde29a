"""When the samples of a device were heard, by the engine's clock."""

from __future__ import annotations

from mien.clock import NS_PER_MS, NS_PER_S

_GAIN = 0.01
"""How much of what one block says about the device's clock is believed: at 10 ms a block, a second's mean."""

_JUMP_NS = 60 * NS_PER_MS
"""A block that lies further off than this is not late but after a gap, or before one that was thought to be."""

_OLDEST_S = 2.0
"""Sound older than this when it is handed over: the device's times are made up."""


class SampleClock:
    """Engine time of the first sample of each block.

    Blocks come in bursts, the device counts its samples steadily: time is what was counted, placed where the
    device's own times (ADC) put it in the mean, so that unsteady calls make no unsteady stamps and a device
    that runs 100 ppm fast or slow is followed.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._count = 0
        self._offset_ns: float | None = None
        self._last_ns: int | None = None

    def stamp(self, samples: int, heard_ns: int) -> int:
        """heard_ns: when this block says that its first sample was heard. Stamps always grow."""
        media_ns = self._count * NS_PER_S / self._rate
        self._count += samples
        offset = heard_ns - media_ns
        if self._offset_ns is None or abs(offset - self._offset_ns) > _JUMP_NS:
            self._offset_ns = offset
        else:
            self._offset_ns += _GAIN * (offset - self._offset_ns)
        stamp = round(media_ns + self._offset_ns)
        if self._last_ns is not None:
            stamp = max(stamp, self._last_ns + 1)
        self._last_ns = stamp
        return stamp

    def resume(self) -> None:
        """Samples were lost: the next block's own time counts."""
        self._offset_ns = None


def heard_at(now_ns: int, now_s: float, adc_s: float, samples: int, rate: float) -> int:
    """Engine time at which a block's first sample was heard.

    now_ns and now_s: the moment of the call by the engine's clock and the stream's. adc_s: of the first sample by
    the stream's; a driver that knows no such time says 0, and then the block is as old as it is long.
    """
    age_s = now_s - adc_s
    if not (adc_s > 0 and 0 <= age_s <= _OLDEST_S):
        age_s = samples / rate
    return now_ns - round(age_s * NS_PER_S)
