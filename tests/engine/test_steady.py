"""Sound on the engine's clock: unbroken, in step for a day, never back in time, never a click."""

import itertools

import numpy as np
import pytest

from mien.clock import NS_PER_MS, NS_PER_S
from mien.frames import AudioFrame
from mien.steady import Steady

pytestmark = pytest.mark.unit

RATE = 48_000


def tone(first: int, count: int, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(first, first + count) / rate)).astype(np.float32)[
        :, None
    ]


def pushed(steady: Steady, frames) -> list[AudioFrame]:
    return [out for frame in frames if (out := steady.push(frame)) is not None]


def test_sound_in_step_goes_on_as_it_is():
    frames = [AudioFrame(tone(n * 960, 960), RATE, 5 + n * 20 * NS_PER_MS) for n in range(50)]
    out = pushed(Steady(), frames)
    assert all(a.samples is b.samples for a, b in zip(frames[1:], out[1:], strict=True))
    assert [f.capture_ns for f in out] == [f.capture_ns for f in frames]


def test_a_day_of_a_sound_card_that_is_off():
    """24 hours in stretches of ten seconds: what comes out keeps in step with the time that passed."""
    steady, rate, samples, ppm = Steady(), 400, np.zeros((4_000, 1), np.float32), -120
    worst = 0
    for n in range(24 * 360):
        # The card takes a little less than ten seconds for its samples; stamps tell the truth.
        capture_ns = round(10 * n * NS_PER_S * (1 + ppm * 1e-6))
        out = steady.push(AudioFrame(samples, rate, capture_ns))
        assert out is not None
        worst = max(worst, abs(out.capture_ns - capture_ns))
    assert worst < 5 * NS_PER_MS


def test_drift_is_made_up_for_without_a_click():
    rng = np.random.default_rng(3)
    frames = []
    for n in range(1500):
        jitter = rng.normal(0, 2e6)
        frames.append(
            AudioFrame(tone(n * 960, 960), RATE, round(n * 20 * NS_PER_MS * 1.0005 + jitter) + NS_PER_S)
        )
    out = pushed(Steady(), frames)
    sound = np.concatenate([f.samples[:, 0] for f in out])
    steepest = 0.5 * 2 * np.pi * 440 / RATE
    assert np.abs(np.diff(sound)).max() < 1.3 * steepest
    for a, b in itertools.pairwise(out):
        assert abs(b.capture_ns - a.capture_ns - a.duration_ns) <= 1, "contiguous"
    true_ns = round(1499 * 20 * NS_PER_MS * 1.0005) + NS_PER_S
    assert abs(out[-1].capture_ns - true_ns) < 5 * NS_PER_MS
    lengths = {len(f.samples) - 960 for f in out}
    assert max(map(abs, lengths)) <= 4, "nothing that anybody hears"


@pytest.mark.parametrize("share", [0.002, 0.01, 0.05])
def test_lost_packets_are_silence_and_not_drift(share):
    rng = np.random.default_rng(8)
    came = [n for n in range(1500) if n == 0 or rng.random() >= share]
    frames = [AudioFrame(tone(n * 960, 960), RATE, n * 20 * NS_PER_MS) for n in came]
    out = pushed(Steady(), frames)
    # A frame that fills a hole begins with the silence: what counts is where its own sound ends.
    late = [
        (b.capture_ns + b.duration_ns) - (a.capture_ns + a.duration_ns)
        for a, b in zip(frames, out, strict=True)
    ]
    assert np.abs(late).max() < 3 * NS_PER_MS
    for a, b in itertools.pairwise(out):
        assert (
            abs(b.capture_ns - a.capture_ns - a.duration_ns) <= 1
            or b.capture_ns - a.capture_ns > 60 * NS_PER_MS
        )
    sound = np.concatenate([f.samples[:, 0] for f in out])
    steepest = 0.5 * 2 * np.pi * 440 / RATE
    assert np.abs(np.diff(sound)).max() < 1.5 * steepest, "no click"


def test_an_overrun_of_a_sound_card_is_silence_as_well():
    steady = Steady()
    frames = [AudioFrame(tone(n * 480, 480), RATE, (n * 10 + 25 * (n >= 50)) * NS_PER_MS) for n in range(100)]
    out = pushed(steady, frames)
    assert out[50].duration_ns == 35 * NS_PER_MS
    assert [f.capture_ns for f in out[51:]] == [f.capture_ns for f in frames[51:]]


@pytest.mark.parametrize(("rate", "length_ms"), [(48_000, 2), (16_000, 10), (8_000, 10), (8_000, 20)])
def test_nobody_hears_the_stretch(rate, length_ms):
    """A card that is off by 300 ppm, in short frames: nowhere more than half a percent, over a tenth of a second."""
    count, steady = rate * length_ms // 1000, Steady()
    frames = [
        AudioFrame(np.zeros((count, 1), np.float32), rate, round(n * length_ms * NS_PER_MS * 1.0003))
        for n in range(20_000 // length_ms)
    ]
    out = pushed(steady, frames)
    more = np.array([len(f.samples) - count for f in out])
    assert more.sum() > 0.0002 * rate * 20 - rate // 200
    window = 100 // length_ms
    in_window = np.convolve(more, np.ones(window), "valid")
    assert in_window.max() <= 0.005 * rate / 10 + 1
    assert abs(out[-1].capture_ns - frames[-1].capture_ns) < 5 * NS_PER_MS


def test_a_hole_and_another_source_begin_anew_and_time_never_goes_back():
    steady = Steady()
    first = [AudioFrame(tone(n * 960, 960), RATE, n * 20 * NS_PER_MS) for n in range(10)]
    later = [AudioFrame(tone(n * 960, 960), RATE, NS_PER_S + n * 20 * NS_PER_MS) for n in range(10)]
    back = [
        AudioFrame(tone(n * 441, 441, 44100), 44100, NS_PER_S // 2 + n * 10 * NS_PER_MS) for n in range(99)
    ]
    out = pushed(steady, [*first, *later, *back])
    ends = [f.capture_ns + f.duration_ns for f in out]
    assert all(b.capture_ns >= end - 1 for end, b in zip(ends, out[1:], strict=False))
    assert out[10].capture_ns == NS_PER_S
    assert out[10].samples[0, 0] == 0, "faded in"
    assert steady.dropped == 70
    assert out[20].capture_ns == pytest.approx(NS_PER_S + 200 * NS_PER_MS, abs=50_000)
    assert out[20].rate == 44100


def test_what_was_never_heard_takes_no_time():
    """An interruption drops what still waits; a voice that is stamped later than the last one loses nothing."""
    steady = Steady()
    said = pushed(steady, [AudioFrame(tone(n * 960, 960), RATE, n * 20 * NS_PER_MS) for n in range(50)])
    heard_ns = said[39].capture_ns + said[39].duration_ns
    steady.rewind(heard_ns)
    later = [AudioFrame(tone(n * 480, 480), RATE, 880 * NS_PER_MS + n * 10 * NS_PER_MS) for n in range(20)]
    out = pushed(steady, later)
    assert [f.capture_ns for f in out] == [f.capture_ns for f in later]
    assert out[0].samples[0, 0] == 0, "faded in"
    assert steady.dropped == 0
    steady.rewind(heard_ns)
    before = [AudioFrame(tone(n * 480, 480), RATE, 790 * NS_PER_MS + n * 10 * NS_PER_MS) for n in range(3)]
    assert [f.capture_ns for f in pushed(steady, before)] == [heard_ns, heard_ns + 10 * NS_PER_MS]
    assert steady.dropped == 1, "what was heard stays heard"
    steady.rewind(5 * NS_PER_S)
    assert steady.push(before[2]) is None, "never forward"
    steady.rewind(None)
    assert steady.push(before[0]) is not None


def test_nothing_and_one_sample_pass():
    steady = Steady()
    assert steady.push(AudioFrame(np.zeros((0, 2), np.float32), RATE, 0)) is None
    assert steady.push(AudioFrame(np.ones((1, 2), np.float32), RATE, 0)) is not None
    assert steady.push(AudioFrame(np.ones((1, 1), np.float32), RATE, 20_833)) is not None
