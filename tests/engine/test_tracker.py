"""The engine's tracker over a landmarker that says what it is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from synthetic_face import CAMERA, Person, speaking

from mien.errors import StageError
from mien.face import acquaintance
from mien.face.enrolment import Enrolment
from mien.face.focal import FocalEstimate
from mien.face.lighting import Lighting
from mien.face.rig import INDEX
from mien.face.skin_motion import SkinMotion
from mien.face.spare import Spare
from mien.face.tracker import LandmarkTracker
from mien.frames import Bytes, Float, VideoFrame
from mien.stage import FaceLandmarks, Kind, Landmarker, Tracked
from mien.testing.context import FakeContext

pytestmark = pytest.mark.unit

_EMPTY = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)


class Told(Landmarker):
    """Finds what it is told to find."""

    def __init__(self) -> None:
        self.next: list[Float] = []
        self.in_sight = 0
        self.resets = 0

    @property
    def faces(self) -> int:
        return self.in_sight

    def detect(self, pixels: Bytes) -> list[FaceLandmarks]:
        return [FaceLandmarks(points, 0.9) for points in self.next]

    def reset(self) -> None:
        self.resets += 1


class Rig:
    """A tracker, the landmarker behind it, and a clock that counts frames."""

    def __init__(self) -> None:
        self.landmarker = Told()
        self.tracker = LandmarkTracker()
        self.tracker.open(FakeContext(services={Kind.LANDMARKER: lambda: self.landmarker}))
        self.index = 0

    def see(self, *faces: Float, pixels: Bytes = _EMPTY) -> Tracked:
        self.landmarker.next = list(faces)
        tracked = self.tracker.process(VideoFrame(pixels, self.index * 40_000_000, index=self.index, epoch=2))
        self.index += 1
        return tracked

    def watch(self, frames: Iterable[Float]) -> list[Tracked]:
        return [self.see(points) for points in frames]


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture(scope="module")
def person() -> Person:
    return Person(seed=21)


def test_the_first_frame_already_tells(rig: Rig, person: Person) -> None:
    tracked = rig.see(person.landmarks((0, 0.3, 0)))
    assert tracked.params is not None
    assert tracked.subject is not None
    assert tracked.params.rotation[1] == pytest.approx(0.3, abs=0.1)
    assert (tracked.params.index, tracked.params.epoch, tracked.faces) == (0, 2, 1)
    assert tracked.params.confidence == pytest.approx(0.9, abs=0.01)


def test_the_person_is_known_after_a_second_and_refined_later(rig: Rig, person: Person) -> None:
    seen = rig.watch(speaking(person, 60, noise_px=0.2))
    epochs = [tracked.subject.epoch for tracked in seen if tracked.subject]
    assert epochs == sorted(epochs)
    assert epochs[0] == 1
    assert epochs[45] >= 3
    last = seen[-1].subject
    assert last is not None
    assert last.neutral[INDEX["jawOpen"]] < 0.35


def test_without_time_to_spare_the_work_takes_turns_and_the_person_is_known_all_the_same(
    rig: Rig, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: dict[str, list[int]] = {"light": [], "step": [], "skin": []}

    def noted(what: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            done[what].append(rig.index)
            return method(*given, **named)

        return call

    monkeypatch.setattr(Spare, "allowed", False)
    monkeypatch.setattr(Lighting, "see", noted("light", Lighting.see))
    monkeypatch.setattr(Enrolment, "step", noted("step", Enrolment.step))
    monkeypatch.setattr(SkinMotion, "steadied", noted("skin", SkinMotion.steadied))
    seen = rig.watch(speaking(person, 90, noise_px=0.2))
    assert not done["skin"]
    assert done["light"] == list(range(0, 90, 3))
    later = [index for index in done["step"] if index > 30]
    assert later
    assert {index % 3 for index in later} == {1}
    subject = seen[-1].subject
    assert subject is not None
    assert subject.epoch >= 3
    assert subject.neutral[INDEX["jawOpen"]] < 0.35


def test_pictures_with_padded_rows_are_looked_at_like_others(rig: Rig, person: Person) -> None:
    """Decoders hand out such ones, of widths like 854."""
    height, width = _EMPTY.shape[:2]
    grain = np.random.default_rng(3).integers(60, 200, (height, width + 8, 3), np.uint8)
    for _ in range(60):
        tracked = rig.see(person.landmarks(), pixels=grain[:, :width])
    assert tracked.params is not None
    assert tracked.params.detail is not None


def test_a_blink_reads_one_and_open_eyes_read_their_rest(rig: Rig, person: Person) -> None:
    seen = rig.watch(speaking(person, 40))
    subject = seen[-1].subject
    assert subject is not None
    for _ in range(3):
        tracked = rig.see(person.landmarks(eyeBlinkLeft=1.0, eyeBlinkRight=1.0))
    assert tracked.params is not None
    assert tracked.params.expression[INDEX["eyeBlinkLeft"]] > 0.95
    tracked = rig.see(person.landmarks())
    assert tracked.params is not None
    rest = subject.neutral[INDEX["eyeBlinkLeft"]]
    assert tracked.params.expression[INDEX["eyeBlinkLeft"]] == pytest.approx(rest, abs=0.1)


def test_nothing_is_made_up_without_a_face(rig: Rig, person: Person) -> None:
    assert rig.see() == Tracked(None)
    rig.see(person.landmarks())
    lost = rig.see()
    assert lost.params is None
    assert lost.faces == 0
    assert lost.subject is not None


def test_a_face_is_back_in_the_first_frame_that_shows_it(rig: Rig, person: Person) -> None:
    rig.watch(speaking(person, 10))
    for _ in range(30):
        rig.see()
    tracked = rig.see(person.landmarks((0, -0.4, 0), (8, 2, -80)))
    assert tracked.params is not None
    assert tracked.params.rotation[1] == pytest.approx(-0.4, abs=0.1)
    assert tracked.params.translation[2] == pytest.approx(-80, abs=4)


def test_somebody_else_is_got_to_know_anew(rig: Rig, person: Person) -> None:
    known = rig.watch(speaking(person, 60))[-1].subject
    rig.see()
    stranger = Person(seed=99, identity=1.4, offsets=0.2)
    now = rig.watch(speaking(stranger, 60))[-1].subject
    assert known is not None
    assert now is not None
    assert now.epoch > known.epoch
    now_off, known_off = (np.linalg.norm(s.identity - stranger.identity) for s in (now, known))
    assert now_off < known_off


def test_somebody_else_who_was_in_view_already_is_got_to_know_anew(rig: Rig, person: Person) -> None:
    """The landmarker goes over to whoever is left within the same picture: no picture is without a face."""
    apart = np.array([150, 0, 0], np.float32)
    known = rig.watch(points - apart for points in speaking(person, 60))[-1].subject
    frames = [points + apart for points in speaking(Person(seed=99, identity=1.4, offsets=0.2), 60)]
    now = rig.watch(frames)[-1].subject
    alone = Rig().watch(frames[11:])[-1].subject
    assert known is not None
    assert now is not None
    assert alone is not None
    assert now.epoch > known.epoch
    np.testing.assert_allclose(now.identity, alone.identity, atol=1e-4)


def test_a_person_who_jumps_to_another_place_stays_known(rig: Rig, person: Person) -> None:
    apart = np.array([150, 0, 0], np.float32)
    known = rig.watch(points - apart for points in speaking(person, 60))[-1].subject
    now = rig.watch(points + apart for points in speaking(person, 20))[-1].subject
    assert now is known


def test_who_is_lost_within_the_first_second_is_not_mixed_with_who_comes_next(
    rig: Rig, person: Person
) -> None:
    first = rig.watch(speaking(person, 14))[-1].subject
    rig.see()
    frames = speaking(Person(seed=99, identity=1.4, offsets=0.2), 40)
    now = rig.watch(frames)[-1].subject
    alone = Rig().watch(frames)[-1].subject
    assert first is not None
    assert now is not None
    assert alone is not None
    assert now.person > first.person
    np.testing.assert_allclose(now.neutral, alone.neutral, atol=1e-4)
    np.testing.assert_allclose(now.offsets, alone.offsets, atol=1e-4)


def test_the_followed_face_is_kept_when_a_larger_one_comes(rig: Rig, person: Person) -> None:
    near = person.landmarks(translation=(-8, 0, -60))
    rig.see(near)
    rig.landmarker.in_sight = 3
    tracked = rig.see(person.landmarks(translation=(9, 0, -40)), near)
    assert tracked.params is not None
    assert tracked.params.translation[0] == pytest.approx(-8, abs=0.7)
    assert tracked.faces == 3


def test_other_picture_sizes_are_another_camera(rig: Rig, person: Person) -> None:
    rig.see(person.landmarks())
    double = CAMERA.scaled(2.0)
    pixels = np.zeros((double.height, double.width, 3), np.uint8)
    tracked = rig.see(person.landmarks(camera=double), pixels=pixels)
    assert tracked.subject is not None
    assert tracked.subject.camera == double
    assert tracked.subject.epoch == 2


def test_reset_forgets_the_person(rig: Rig, person: Person) -> None:
    before = rig.see(person.landmarks()).subject
    rig.tracker.reset()
    assert rig.landmarker.resets == 1
    assert rig.see() == Tracked(None)
    after = rig.see(person.landmarks()).subject
    assert before is not None
    assert after is not None
    assert after.epoch > before.epoch


def test_the_same_pictures_give_the_same_parameters(person: Person) -> None:
    frames = speaking(person, 20, noise_px=0.5)
    one, other = Rig().watch(frames), Rig().watch(frames)
    for a, b in zip(one, other, strict=True):
        assert a.params is not None
        assert b.params is not None
        np.testing.assert_array_equal(a.params.expression, b.params.expression)


def test_it_says_when_it_was_never_opened() -> None:
    with pytest.raises(StageError, match="opened"):
        LandmarkTracker().process(VideoFrame(_EMPTY.copy(), 0))


class Sure:
    """A search that has found the lens already. (What searches find is tested with `mien.face.focal`.)"""

    def __init__(self, focal: float, confidence: float) -> None:
        self.estimate = FocalEstimate(replace(CAMERA, focal=focal), 0.1, confidence)

    def step(self) -> bool:
        return True


@pytest.mark.parametrize(("confidence", "adopted"), [(0.95, True), (0.7, False)])
def test_a_focal_length_is_adopted_where_the_poses_tell_it(
    rig: Rig, person: Person, monkeypatch: pytest.MonkeyPatch, confidence: float, adopted: bool
) -> None:
    values = {
        "_LENS_AFTER_S": 1.0,
        "_LENS_SEARCHES": 1,
        "_LENS_ROUNDS": 4,
        "_GETTING_TO_KNOW_S": 0,
    }
    for name, value in values.items():
        monkeypatch.setattr(acquaintance, name, value)
    monkeypatch.setattr(Enrolment, "focal_search", lambda _: Sure(700.0, confidence))
    camera = replace(CAMERA, focal=700.0)
    turns = [(0.1 * np.sin(i / 5), 0.4 * np.sin(i / 7), 0.0) for i in range(110)]
    seen = rig.watch(person.landmarks(turn, (0, 0, -60), camera=camera) for turn in turns)
    subject, params = seen[-1].subject, seen[-1].params
    assert subject is not None
    assert params is not None
    assert subject.camera.focal == (700 if adopted else CAMERA.focal)
    assert params.translation[2] == pytest.approx(-60 * subject.camera.focal / 700, rel=0.12)
    sizes = [t.params.translation[2] / t.subject.camera.focal for t in seen if t.params and t.subject]
    assert max(abs(b / a - 1) for a, b in itertools.pairwise(sizes[30:])) < 0.05, (
        "depth and lens change together"
    )
    assert params.confidence > 0.8
    cameras = [tracked.subject.camera for tracked in seen if tracked.subject]
    assert sum(a != b for a, b in itertools.pairwise(cameras)) == adopted
