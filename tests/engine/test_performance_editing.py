"""Editing performances: what is cut, resampled, changed and joined, and that the sound stays in step."""

import math
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from performers import plain

from mien.clock import NS_PER_S
from mien.errors import InputError
from mien.face.camera import axis_angle, rotation_matrix
from mien.face.light import ambient
from mien.face.retargeting import HEAD, SHIFT, Reference, head_matrix, mirrored, relative_motion
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import DETAIL, AudioFrame, FaceParams
from mien.performance import editing
from mien.performance.pcm import SoundFormat
from mien.performance.reader import PerformanceReader
from mien.performance.take import Event, Take, save_take

pytestmark = pytest.mark.unit

START_NS = 7 * NS_PER_S
FPS = 25.0
RATE = 8000
JAW, SMILE = INDEX["jawOpen"], INDEX["mouthSmileLeft"]


class WeakSound(AudioFrame):
    """One of which can be told whether it is still held."""

    __slots__ = ("__weakref__",)


def frame(index: int, fps: float = FPS, jaw: float = 0.0, yaw: float = 0.0) -> FaceParams:
    expression = np.zeros(52, np.float32)
    expression[JAW] = jaw
    turned = axis_angle(head_matrix(np.array([yaw, 0, 0], np.float32)))
    return FaceParams(START_NS + round(index * NS_PER_S / fps), turned, expression=expression, index=index)


def take(frames: Iterable[FaceParams], *, seconds: float = 0.0, subject: Subject | None = None) -> Take:
    """With a sound whose samples tell their own time: a ramp from 0 to 1 over 10 s."""
    sounds = []
    for piece in range(round(seconds * 10)):
        samples = (np.arange(RATE // 10) + piece * RATE // 10) / (10 * RATE)
        at_ns = START_NS + piece * NS_PER_S // 10
        sounds.append(AudioFrame(samples.astype(np.float32)[:, None], RATE, at_ns))
    events: list[Event] = sorted([*frames, *sounds], key=lambda event: event.capture_ns)
    return Take(subject or plain(), FPS, SoundFormat(RATE, 1) if seconds else None, events)


def faces(result: Take) -> list[FaceParams]:
    return [event for event in result.events if isinstance(event, FaceParams)]


def split(result: Take) -> tuple[list[FaceParams], list[AudioFrame]]:
    events = list(result.events)
    sounds = [event for event in events if isinstance(event, AudioFrame)]
    return [event for event in events if isinstance(event, FaceParams)], sounds


def ramp_start_s(sound: AudioFrame) -> float:
    return float(sound.samples[0, 0]) * 10


def test_a_cut_keeps_the_frames_between_and_the_sound_that_belongs_to_them() -> None:
    kept, sounds = split(editing.cut(take((frame(i) for i in range(100)), seconds=4), 1.0, 2.5))
    assert [params.index for params in kept] == list(range(25, 63))
    assert sounds[0].capture_ns == kept[0].capture_ns
    assert ramp_start_s(sounds[0]) == pytest.approx(1.0, abs=1e-4)
    end_ns = sounds[-1].capture_ns + sounds[-1].duration_ns
    assert end_ns == pytest.approx(kept[-1].capture_ns + NS_PER_S / FPS, abs=NS_PER_S / RATE)
    assert sum(len(sound.samples) for sound in sounds) == pytest.approx(38 / FPS * RATE, abs=1)
    for sound in sounds:
        assert ramp_start_s(sound) == pytest.approx((sound.capture_ns - START_NS) / NS_PER_S, abs=2e-4)


def test_a_cut_holds_and_reads_no_more_than_it_needs() -> None:
    """Neither the sound before it nor what lies beyond its end."""
    given: list[weakref.ref[AudioFrame]] = []
    most = taken = 0

    def film() -> Iterator[Event]:
        nonlocal most, taken
        for i in range(1000):
            yield frame(i)
            sound = WeakSound(np.zeros((RATE // 25, 1), np.float32), RATE, frame(i).capture_ns)
            given.append(weakref.ref(sound))
            yield sound
            del sound
            most, taken = max(most, sum(held() is not None for held in given)), i

    result = editing.cut(Take(plain(), FPS, SoundFormat(RATE, 1), film()), 8.0, 9.0)
    assert sum(isinstance(event, FaceParams) for event in result.events) == 25
    assert most <= 3
    assert taken <= 9 * FPS + 1


def test_a_cut_out_of_a_file_is_that_of_what_it_holds(tmp_path: Path) -> None:
    """It seeks, and comes to the same, to the sample."""
    path = tmp_path / "a.performance"
    events = list(take((frame(i) for i in range(100)), seconds=4).events)
    save_take(Take(plain(), FPS, SoundFormat(RATE, 1), [*events[:50], plain(1), *events[50:]]), path)
    with PerformanceReader(path) as reader:
        whole = list(reader.events())
        for start_s, end_s in ((0, None), (1.03, 2.5), (2.0, 2.01), (3.9, None)):
            sought = list(editing.cut(Take.of(reader), start_s, end_s).events)
            read = list(editing.cut(replace(Take.of(reader), events=whole), start_s, end_s).events)
            assert [type(event) for event in sought] == [type(event) for event in read]
            for one, other in zip(sought, read, strict=True):
                if isinstance(one, AudioFrame) and isinstance(other, AudioFrame):
                    assert np.array_equal(one.samples, other.samples)
                if not isinstance(one, Subject) and not isinstance(other, Subject):
                    assert one.capture_ns == other.capture_ns


def test_a_cut_waits_for_sound_that_lags_behind() -> None:
    events = list(take((frame(i) for i in range(100)), seconds=4).events)
    frames = [event for event in events if isinstance(event, FaceParams)]
    sounds = [event for event in events if isinstance(event, AudioFrame)]
    late = replace(take([], seconds=4), events=[*frames, *sounds])
    _, heard = split(editing.cut(late, 1.0, 2.5))
    _, expected = split(editing.cut(replace(late, events=events), 1.0, 2.5))
    np.testing.assert_array_equal(
        np.concatenate([one.samples for one in heard]), np.concatenate([one.samples for one in expected])
    )


def test_an_empty_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="earlier time first"):
        editing.cut(take([frame(0)]), 2, 1)
    with pytest.raises(InputError, match="Not one frame"):
        save_take(editing.cut(take([frame(0)]), 5), tmp_path / "x.performance")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [(-1.0, None), (math.nan, None), (math.inf, None), (0.0, math.nan), (0.0, 0.0), (math.nan, math.nan)],
)
def test_a_stretch_that_is_none_is_refused(start_s: float, end_s: float | None) -> None:
    with pytest.raises(InputError, match=r"Nothing lies between .* earlier time first"):
        editing.cut(take([frame(0)]), start_s, end_s)


@pytest.mark.parametrize("fps", [10, 25, 30, 60])
def test_resampling_keeps_length_and_motion(fps: float) -> None:
    source = take((frame(i, jaw=i / 100, yaw=i / 100) for i in range(51)), seconds=2)
    result, sounds = split(editing.resampled(source, fps))
    assert [params.index for params in result] == list(range(len(result)))
    assert len(result) == 2 * fps + 1
    for i, params in enumerate(result):
        assert params.capture_ns == START_NS + round(i * NS_PER_S / fps)
        assert params.expression[JAW] == pytest.approx(i / fps * 0.25, abs=1e-5)
        assert params.rotation[1] == pytest.approx(i / fps * 0.25, abs=1e-4)
    assert [sound.capture_ns for sound in sounds] == [START_NS + k * NS_PER_S // 10 for k in range(20)]


def test_turns_are_interpolated_the_short_way() -> None:
    one = replace(frame(0), rotation=np.array([0, 3.1, 0], np.float32))
    other = replace(frame(1), rotation=np.array([0, -3.1, 0], np.float32))
    half = rotation_matrix(editing.blended(one, other, 0.5).rotation)
    np.testing.assert_allclose(half, rotation_matrix(np.array([0, np.pi, 0])), atol=1e-5)


def test_nothing_is_interpolated_between_two_subjects() -> None:
    events = [frame(0, jaw=0.2), frame(1, jaw=0.2), plain(1), frame(2, jaw=0.8)]
    result = list(editing.resampled(Take(plain(), FPS, None, events), 100).events)
    change = next(i for i, event in enumerate(result) if isinstance(event, Subject))
    before = [event.expression[JAW] for event in result[:change] if isinstance(event, FaceParams)]
    after = [event.expression[JAW] for event in result[change:] if isinstance(event, FaceParams)]
    np.testing.assert_allclose(before, 0.2, atol=1e-6)
    np.testing.assert_allclose(after, 0.8, atol=1e-6)
    assert (len(before), len(after)) == (8, 1)


def test_named_expressions_are_scaled_about_the_persons_own_rest() -> None:
    neutral = np.zeros(52, np.float32)
    neutral[JAW] = 0.1
    source = take([frame(0, jaw=0.3)], subject=plain(neutral=neutral))
    (changed,) = faces(editing.adjusted(source, {"jawOpen": 2.0}, {"mouthSmile": 0.4}))
    assert changed.expression[JAW] == pytest.approx(0.5)
    assert changed.expression[SMILE] == changed.expression[INDEX["mouthSmileRight"]] == pytest.approx(0.4)
    with pytest.raises(InputError, match="Did you mean jawOpen"):
        editing.adjusted(source, {"jawOpne": 2.0})
    with pytest.raises(InputError, match=r"Did you mean mouthSmile\?"):
        editing.adjusted(source, {"smile": 2.0})
    for head in (math.nan, math.inf):
        with pytest.raises(InputError, match="the head's motion"):
            editing.adjusted(source, head=head)


def test_the_heads_motion_is_scaled_about_its_rest() -> None:
    rest = axis_angle(head_matrix(np.array([0.1, -0.05, 0], np.float32)))
    person = plain(rest_rotation=rest)
    source = take([frame(0, yaw=0.3)], subject=person)
    (changed,) = faces(editing.adjusted(source, head=0.5))
    before, after = (relative_motion(params, Reference.of(person)) for params in (frame(0, yaw=0.3), changed))
    np.testing.assert_allclose(after[HEAD], before[HEAD] / 2, atol=1e-5)
    np.testing.assert_allclose(after[SHIFT], before[SHIFT] / 2, atol=0.02)


def test_smoothing_calms_everything_but_the_blinks() -> None:
    rng = np.random.default_rng(3)
    blink = INDEX["eyeBlinkLeft"]
    frames = []
    for i in range(60):
        expression = np.full(52, 0.5, np.float32) + rng.normal(0, 0.05, 52).astype(np.float32)
        expression[blink] = float(i == 30)
        turn = (0.2 + rng.normal(0, 0.02, 3)).astype(np.float32)
        frames.append(replace(frame(i), expression=expression, rotation=turn))
    result = faces(editing.smoothed(take(frames), 0.08))
    assert [params.capture_ns for params in result] == [params.capture_ns for params in frames]
    assert [params.expression[blink] for params in result] == [float(i == 30) for i in range(60)]
    for name in ("rotation", "expression"):
        rough, calm = (np.stack([getattr(p, name) for p in some])[:, -1] for some in (frames, result))
        assert calm.std() < 0.6 * rough.std()
        assert calm.mean() == pytest.approx(rough.mean(), abs=0.005)


def skin(*levels: float | None) -> list[FaceParams]:
    details = [None if level is None else np.full(DETAIL, level, np.float32) for level in levels]
    return [replace(frame(i), detail=detail) for i, detail in enumerate(details)]


def skin_of(frames: Iterable[FaceParams]) -> list[float | None]:
    return [None if params.detail is None else round(float(params.detail.mean()), 3) for params in frames]


def test_the_skin_is_interpolated_and_smoothed_like_the_rest() -> None:
    source = Take(plain(), FPS, None, skin(0.1, 0.3, None, 0.2))
    between = faces(editing.resampled(source, 100))
    assert skin_of(between) == [0.1, 0.15, 0.2, 0.25, 0.3, 0.3, 0.3, None, None, None, None, 0.2, 0.2]
    rough = np.where(np.arange(40) % 2, 0.1, -0.1).tolist()
    calm = faces(editing.smoothed(Take(plain(), FPS, None, skin(*rough[:20], None, *rough[20:])), 0.08))
    levels = skin_of(calm)
    assert levels[20] is None
    assert max(abs(level) for level in levels[3:-3] if level is not None) < 0.03


def test_smoothing_holds_only_as_many_frames_as_it_needs() -> None:
    taken = 0

    def counted() -> Iterator[FaceParams]:
        nonlocal taken
        for i in range(1000):
            taken += 1
            yield frame(i)

    next(iter(editing.smoothed(Take(plain(), FPS, None, counted()), 0.04).events))
    assert taken <= 5


def test_a_mirrored_take_means_the_mirrored_motion() -> None:
    rest = np.array([0.1, 0.2, 0.05], np.float32)
    person = plain(rest_rotation=rest, rest_gaze=np.array([[-0.05, 0], [0.05, 0.1]], np.float32))
    result = editing.mirrored_take(take([frame(0, yaw=0.3)], subject=person))
    (flipped,) = faces(result)
    before = relative_motion(frame(0, yaw=0.3), Reference.of(person))
    after = relative_motion(flipped, Reference.of(result.subject))
    np.testing.assert_allclose(after[HEAD], before[HEAD] * [-1, 1, -1], atol=1e-5)
    np.testing.assert_array_equal(mirrored(flipped).rotation, frame(0, yaw=0.3).rotation)
    assert result.subject.camera.cx == 340.0


def test_a_mirrored_take_keeps_the_light_of_its_room() -> None:
    """The light of the portrait is relative to the one that the person was met in: both turn round."""
    lit = ambient(1.0)
    lit[3] = 0.6
    result = editing.mirrored_take(
        take([replace(frame(0), light=lit.copy())], subject=plain(rest_light=lit.copy()))
    )
    (flipped,) = faces(result)
    assert flipped.light[3, 0] == pytest.approx(-0.6)
    np.testing.assert_array_equal(result.subject.rest_light, flipped.light)


def test_joining_puts_takes_end_to_end_and_fills_with_silence(tmp_path: Path) -> None:
    loud = take((frame(i) for i in range(25)), seconds=2)  # its sound is longer than its frames
    silent = take((frame(i, jaw=0.5) for i in range(50)), subject=plain(1))
    path = tmp_path / "joined.performance"
    assert save_take(editing.joined([loud, silent, loud]), path) == 100
    with PerformanceReader(path) as reader:
        times = [params.capture_ns for params in reader]
        assert np.diff(times).tolist() == [NS_PER_S // 25] * 99
        sounds = [event for event in reader.events() if isinstance(event, AudioFrame)]
        changes = [event for event in reader.events() if isinstance(event, Subject)]
    assert [subject.epoch for subject in changes] == [1, 0]
    ends = [sound.capture_ns + sound.duration_ns for sound in sounds]
    assert [sound.capture_ns for sound in sounds[1:]] == ends[:-1]
    assert ends[-1] - times[0] == 4 * NS_PER_S
    middle = [sound for sound in sounds if 1.2 < (sound.capture_ns - times[0]) / NS_PER_S < 2.8]
    assert not any(sound.samples.any() for sound in middle)


def test_sounds_of_two_formats_are_not_joined() -> None:
    other = replace(take([frame(0)], seconds=1), sound=SoundFormat(44100, 2))
    with pytest.raises(InputError, match="--mute"):
        editing.joined([take([frame(0)], seconds=1), other])
    assert editing.joined([take([frame(0)], seconds=1), editing.muted(other)]).sound == SoundFormat(RATE, 1)
