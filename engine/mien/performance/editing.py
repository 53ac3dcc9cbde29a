"""Editing performances: each function takes a `Take` and gives another, event by event.

Frames keep their times, so sound and picture stay in step whatever is done; where frames are taken away,
the sound beyond them goes too.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mien.clock import NS_PER_S
from mien.errors import InputError
from mien.face.camera import axis_angle, rotation_matrix
from mien.face.retargeting import BLINK, PIVOT, Reference, head_angles, head_matrix, mirrored
from mien.face.rig import ARKIT_NAMES, INDEX, MIRROR
from mien.face.subject import Subject
from mien.frames import EXPRESSIONS, AudioFrame, FaceParams, Float
from mien.performance.pcm import SoundFormat
from mien.performance.take import Event, Recorded, Take

_Change = Callable[[FaceParams, Subject, Reference], FaceParams]
"""What becomes of one frame, given whose it is and how that person rests."""

# --- time ---------------------------------------------------------------------------------------------


def cut(take: Take, start_s: float = 0.0, end_s: float | None = None) -> Take:
    """The frames from `start_s` up to, not including, `end_s`, counted from the first one; with their sound.

    Raises `InputError` when the stretch is empty by itself.
    """
    if not 0 <= start_s < (math.inf if end_s is None else end_s):
        end = "the end" if end_s is None else f"{end_s:g} s"
        raise InputError(
            f"Nothing lies between {start_s:g} s and {end}. Give the earlier time first, from 0 on."
        )
    if isinstance(take.events, Recorded):
        here, first_ns = replace(take, events=take.events.since(start_s)), take.events.reader.first_ns
        return replace(take, events=_stretch(here, start_s, end_s, first_ns))
    return replace(take, events=_stretch(take, start_s, end_s))


def _stretch(
    take: Take, start_s: float = 0.0, end_s: float | None = None, first_ns: int | None = None
) -> Iterator[Event]:
    """The frames between the two times after `first_ns` (without it, after the first frame of all), with their sound:
    none before the first of them nor after the end of the last. Ends once there is nothing more to come.
    """
    begin_ns: int | None = None  # of the first frame that is kept
    last_ns = 0  # and of the last one so far
    limit_ns: int | None = None  # the end of the last one of all, once it is known
    waiting: deque[AudioFrame] = deque()
    for event in take.events:
        if isinstance(event, AudioFrame):
            if limit_ns is not None and event.capture_ns >= limit_ns:
                return
            waiting.append(event)
        elif limit_ns is not None:
            continue  # only sound that lags behind is still to come
        elif isinstance(event, Subject):
            yield event
        else:
            first_ns = event.capture_ns if first_ns is None else first_ns
            since_s = (event.capture_ns - first_ns) / NS_PER_S
            if end_s is not None and since_s >= end_s:
                if begin_ns is None or take.sound is None:
                    return
                limit_ns = last_ns + round(NS_PER_S / take.fps)
            elif since_s >= start_s:
                begin_ns = event.capture_ns if begin_ns is None else begin_ns
                last_ns = event.capture_ns
                yield event
        if first_ns is None:
            continue
        # What ends before the stretch is out; what a kept frame has passed is in; of the rest the next frames tell.
        out_ns = first_ns + round(start_s * NS_PER_S) if begin_ns is None else begin_ns
        while waiting and _end_ns(waiting[0]) <= out_ns:
            waiting.popleft()
        while waiting and begin_ns is not None and (limit_ns is not None or _end_ns(waiting[0]) <= last_ns):
            yield from _trimmed(waiting.popleft(), begin_ns, last_ns if limit_ns is None else limit_ns)
    for sound in waiting if begin_ns is not None else ():
        yield from _trimmed(sound, begin_ns or 0, last_ns + round(NS_PER_S / take.fps))


def _end_ns(sound: AudioFrame) -> int:
    return sound.capture_ns + sound.duration_ns


def _trimmed(sound: AudioFrame, start_ns: int, end_ns: int) -> Iterator[AudioFrame]:
    """What of `sound` lies between the two times, if anything."""
    count = len(sound.samples)
    begin = min(max(-((sound.capture_ns - start_ns) * sound.rate // NS_PER_S), 0), count)
    end = min(max(-((sound.capture_ns - end_ns) * sound.rate // NS_PER_S), 0), count)
    if begin < end:
        begin_ns = sound.capture_ns + begin * NS_PER_S // sound.rate
        yield replace(sound, samples=sound.samples[begin:end], capture_ns=begin_ns)


def resampled(take: Take, fps: float) -> Take:
    """Frames at exactly `fps`, from the first one on, interpolated: turns of the head on the shortest way.

    Between frames of two subjects nothing is interpolated. Raises `InputError` for an impossible rate.
    """
    if not 1 <= fps <= 240:
        raise InputError(f"{fps:g} frames per second is not a rate between 1 and 240.")
    return replace(take, fps=fps, events=_resampled(take.events, fps))


def _resampled(events: Iterable[Event], fps: float) -> Iterator[Event]:
    before: FaceParams | None = None
    start_ns = index = 0
    changes: list[Subject] = []
    for event in events:
        if isinstance(event, AudioFrame):
            yield event
            continue
        if isinstance(event, Subject):
            changes.append(event)
            continue
        if before is None:
            start_ns = event.capture_ns
        while (due_ns := start_ns + round(index * NS_PER_S / fps)) < event.capture_ns:
            assert before is not None  # noqa: S101 - the first due time is that of the first frame
            share = (due_ns - before.capture_ns) / (event.capture_ns - before.capture_ns)
            between = before if changes else blended(before, event, share)
            yield replace(between, capture_ns=due_ns, index=index)
            index += 1
        yield from changes
        changes.clear()
        if due_ns == event.capture_ns:
            yield replace(event, index=index)
            index += 1
        before = event


def blended(one: FaceParams, other: FaceParams, share: float) -> FaceParams:
    """`share` of the way from `one` to `other`, 0 to 1. Time and index are those of `one`."""
    weight = np.float32(share)

    def mixed(a: Float, b: Float) -> Float:
        return np.asarray(a + (b - a) * weight, np.float32)

    here = rotation_matrix(one.rotation)
    turn = axis_angle(here.T @ rotation_matrix(other.rotation))
    return replace(
        one,
        rotation=axis_angle(here @ rotation_matrix(turn * weight)),
        translation=mixed(one.translation, other.translation),
        expression=mixed(one.expression, other.expression),
        gaze=mixed(one.gaze, other.gaze),
        light=mixed(one.light, other.light),
        detail=_mixed_detail((one, other), np.array([1 - share, share])),
        confidence=one.confidence + (other.confidence - one.confidence) * share,
    )


def _mixed_detail(frames: Sequence[FaceParams], weights: Float) -> Float | None:
    """The mean of what is known of the skin; None where the frame that counts most knows nothing."""
    if frames[int(np.argmax(weights))].detail is None:
        return None
    known = [
        (frame.detail, weight)
        for frame, weight in zip(frames, weights, strict=True)
        if frame.detail is not None
    ]
    details, shares = zip(*known, strict=True)
    return np.asarray(np.average(np.stack(details), axis=0, weights=shares), np.float32)


# --- motion -------------------------------------------------------------------------------------------


_TELLING = 3
"""Letters of a name that say which one is meant."""


def shapes(name: str) -> tuple[int, ...]:
    """Places of the expression `name`, or of both sides of it: `mouthSmile` is left and right.

    Raises `InputError` with the nearest name.
    """
    sides = (name, f"{name}Left", f"{name}Right")
    found = tuple(INDEX[side] for side in sides if side in INDEX)
    if not found:
        stems = list(dict.fromkeys(re.sub(r"(Left|Right)$", "", one) for one in ARKIT_NAMES))
        parts = [stem for stem in stems if len(name) >= _TELLING and name.lower() in stem.lower()]
        close = parts or difflib.get_close_matches(name, [*stems, *ARKIT_NAMES], n=1)
        hint = f"Did you mean {close[0]}?" if close else "The names are ARKit's, for example jawOpen."
        raise InputError(f"There is no expression called {name}. {hint}")
    return found


def adjusted(
    take: Take,
    scale: Mapping[str, float] | None = None,
    offset: Mapping[str, float] | None = None,
    head: float = 1.0,
) -> Take:
    """Named expressions scaled about the person's own rest and offset, then kept in [0, 1]; turns and shifts
    of the head scaled by `head`. The eyes move in the head as they did. Raises `InputError`.
    """
    if not math.isfinite(head):
        raise InputError(f"{head} is no factor for the head's motion. Give a number, for example 0.5.")
    factors, offsets = np.ones(EXPRESSIONS, np.float32), np.zeros(EXPRESSIONS, np.float32)
    for values, column in ((scale or {}, factors), (offset or {}, offsets)):
        for name, value in values.items():
            if not math.isfinite(value):
                raise InputError(f"{value} is no amount for {name}.")
            column[list(shapes(name))] = value
    named = (factors != 1) | (offsets != 0)

    def change(params: FaceParams, subject: Subject, rest: Reference) -> FaceParams:
        neutral = subject.neutral
        weights = np.clip(neutral + (params.expression - neutral) * factors + offsets, 0, 1)
        expression = np.asarray(np.where(named, weights, params.expression), np.float32)
        changed = replace(params, expression=expression)
        return changed if head == 1.0 else _with_head(changed, rest, head)

    return replace(take, events=_per_frame(take, change))


def _with_head(params: FaceParams, rest: Reference, gain: float) -> FaceParams:
    """The turn and shift away from `rest` by the pivot of the neck, `gain` times as large."""
    now = rotation_matrix(params.rotation)
    rotation = rest.rotation @ head_matrix(head_angles(rest.rotation.T @ now) * np.float32(gain))
    pivot = rest.pivot + (now @ PIVOT + params.translation - rest.pivot) * np.float32(gain)
    return replace(
        params, rotation=axis_angle(rotation), translation=np.asarray(pivot - rotation @ PIVOT, np.float32)
    )


def _per_frame(take: Take, change: _Change) -> Iterator[Event]:
    subject, rest = take.subject, Reference.of(take.subject)
    for event in take.events:
        if isinstance(event, Subject):
            subject, rest = event, Reference.of(event)
        yield change(event, subject, rest) if isinstance(event, FaceParams) else event


def mirrored_take(take: Take) -> Take:
    """All of it as seen in a mirror. Who it is stays the same: identity and offsets are not mirrored."""

    def flip(event: Event) -> Event:
        if isinstance(event, FaceParams):
            return mirrored(event)
        return _mirrored_subject(event) if isinstance(event, Subject) else event

    return replace(take, subject=_mirrored_subject(take.subject), events=map(flip, take.events))


def _mirrored_subject(subject: Subject) -> Subject:
    rest = mirrored(
        FaceParams(
            0,
            subject.rest_rotation,
            subject.rest_translation,
            subject.neutral,
            subject.rest_gaze,
            subject.rest_light,
        )
    )
    return replace(
        subject,
        neutral=rest.expression,
        gains=subject.gains[list(MIRROR)],
        rest_rotation=rest.rotation,
        rest_translation=rest.translation,
        rest_gaze=rest.gaze,
        rest_light=rest.light,
        camera=replace(subject.camera, cx=subject.camera.width - subject.camera.cx),
    )


def smoothed(take: Take, sigma_s: float) -> Take:
    """Everything but the blinks through a Gaussian of `sigma_s`, without delay; not across subjects.

    Raises `InputError` for a width that is no time or longer than two seconds.
    """
    if not 0 < sigma_s <= 2:
        raise InputError(f"{sigma_s:g} s is no width to smooth over. Give 0.03 for jitter, at most 2.")
    return replace(take, events=_smoothed(take.events, sigma_s))


def _smoothed(events: Iterable[Event], sigma_s: float) -> Iterator[Event]:
    reach_ns = round(3 * sigma_s * NS_PER_S)
    window: deque[FaceParams] = deque()
    place = 0  # of the first frame in the window that has not been given yet
    for event in events:
        if isinstance(event, AudioFrame):
            yield event
            continue
        ends = isinstance(event, Subject)
        if isinstance(event, FaceParams):
            window.append(event)
        while place < len(window) and (ends or window[-1].capture_ns - window[place].capture_ns >= reach_ns):
            yield _mean(window, place, sigma_s)
            place += 1
            while window[0].capture_ns < window[place - 1].capture_ns - reach_ns:
                window.popleft()
                place -= 1
        if isinstance(event, Subject):
            window.clear()
            place = 0
            yield event
    for rest in range(place, len(window)):
        yield _mean(window, rest, sigma_s)


def _mean(window: Sequence[FaceParams], place: int, sigma_s: float) -> FaceParams:
    """The frame at `place`, averaged with its neighbours by their distance in time."""
    centre = window[place]
    times_s = np.array([frame.capture_ns - centre.capture_ns for frame in window]) / NS_PER_S
    weights = np.exp(-0.5 * (times_s / sigma_s) ** 2)
    weights = np.asarray(weights / weights.sum(), np.float32)
    here = rotation_matrix(centre.rotation)
    turns = np.stack([axis_angle(here.T @ rotation_matrix(frame.rotation)) for frame in window])

    def mean(values: Sequence[Float]) -> Float:
        return np.asarray(np.tensordot(weights, np.stack(values), 1), np.float32)

    expression = mean([frame.expression for frame in window])
    return replace(
        centre,
        rotation=axis_angle(here @ rotation_matrix(weights @ turns)),
        translation=mean([frame.translation for frame in window]),
        expression=np.where(BLINK, centre.expression, expression),
        gaze=mean([frame.gaze for frame in window]),
        light=mean([frame.light for frame in window]),
        detail=_mixed_detail(window, weights),
    )


# --- whole takes --------------------------------------------------------------------------------------


def muted(take: Take) -> Take:
    """The same without its sound."""
    events = (event for event in take.events if not isinstance(event, AudioFrame))
    return replace(take, sound=None, events=events)


def joined(takes: Sequence[Take]) -> Take:
    """One after the other, silent where a take has no sound. The rate is that of the first.

    Raises `InputError` when their sounds differ in format.
    """
    formats = {take.sound for take in takes} - {None}
    if len(formats) > 1:
        names = " and ".join(sorted(f"{sound.rate} Hz x {sound.channels}" for sound in formats if sound))
        raise InputError(f"These have sound of different formats ({names}). Take it off with edit --mute.")
    sound = next(iter(formats), None)
    return replace(takes[0], sound=sound, events=_joined(takes, sound))


def _joined(takes: Sequence[Take], sound: SoundFormat | None) -> Iterator[Event]:
    end_ns = index = 0
    for number, take in enumerate(takes):
        events: Iterable[Event] = take.events
        if sound is not None and take.sound is None:
            events = _with_silence(events, sound)
        if number:
            yield take.subject
        shift_ns: int | None = None
        for event in _stretch(replace(take, events=events, sound=sound)):
            if isinstance(event, Subject):
                yield event
                continue
            if isinstance(event, FaceParams):
                shift_ns = end_ns - event.capture_ns if shift_ns is None else shift_ns
                last_ns = event.capture_ns + shift_ns
                yield replace(event, capture_ns=last_ns, index=index)
                index += 1
            elif shift_ns is not None:
                yield replace(event, capture_ns=event.capture_ns + shift_ns)
        if shift_ns is not None:
            end_ns = last_ns + round(NS_PER_S / take.fps)


def _with_silence(events: Iterable[Event], sound: SoundFormat) -> Iterator[Event]:
    """A second of silence each time the frames have come to the end of the one before."""
    silent_ns: int | None = None
    for event in events:
        yield event
        if isinstance(event, FaceParams):
            silent_ns = event.capture_ns if silent_ns is None else silent_ns
            while silent_ns <= event.capture_ns:
                samples = np.zeros((sound.rate, sound.channels), np.float32)
                yield AudioFrame(samples, sound.rate, silent_ns)
                silent_ns += NS_PER_S
