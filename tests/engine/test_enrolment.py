"""Getting to know a face."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_face import CAMERA, Person, speaking

from mien.errors import NoFaceError
from mien.face.enrolment import Enrolment, enrol
from mien.face.fitting import Fitter
from mien.face.landmark_basis import IRISES
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import Float

pytestmark = pytest.mark.unit


def _error(person: Person, subject: Subject | None, frames: list[Float]) -> float:
    fitter = Fitter(person.model, CAMERA, subject)
    return float(np.mean([fitter.fit(points).error for points in frames]))


def test_an_enrolled_face_fits_far_better_than_the_mean_face() -> None:
    person = Person(seed=8, offsets=0.15)
    frames = speaking(person, 60, noise_px=0.2)
    subject = enrol(person.model, CAMERA, frames[:25])
    assert _error(person, subject, frames[25:]) < 0.35 * _error(person, None, frames[25:])
    assert _error(person, subject, frames[25:]) < 0.009


def test_one_portrait_is_enough_to_fit_it() -> None:
    person = Person(seed=9)
    portrait = person.landmarks((0.05, 0.1, 0), mouthSmileLeft=0.7, mouthSmileRight=0.7)
    subject = enrol(person.model, CAMERA, [portrait])
    assert _error(person, subject, [portrait]) < 0.006
    assert subject.neutral[INDEX["mouthSmileLeft"]] > 0.3
    assert subject.camera == CAMERA
    assert subject.model == person.model.name


def test_the_resting_expression_is_that_between_the_words() -> None:
    person = Person(seed=10)
    subject = enrol(person.model, CAMERA, speaking(person, 50, browInnerUp=0.4))
    assert subject.neutral[INDEX["jawOpen"]] < 0.3
    assert subject.neutral[INDEX["eyeBlinkLeft"]] < 0.2
    np.testing.assert_array_equal(subject.neutral[[INDEX["eyeLookUpLeft"], INDEX["tongueOut"]]], 0)


def test_offsets_are_bounded_and_absent_where_nothing_is_known() -> None:
    person = Person(seed=11, offsets=2.0)
    subject = enrol(person.model, CAMERA, [person.landmarks()])
    assert np.abs(subject.offsets).max() <= 1.5
    rings = [i for i in range(468, 478) if i not in IRISES]
    np.testing.assert_array_equal(subject.offsets[rings], 0)


@pytest.mark.parametrize("amiss_cm", [(0.0, 0.1, 0.0), (-0.1, -0.08, 0.0)])
def test_eyes_that_look_into_the_camera_tell_where_the_eyeballs_lie(
    amiss_cm: tuple[float, float, float],
) -> None:
    """Eyeballs a millimetre higher than the model believes would read as a gaze of five degrees."""
    person = Person(seed=13, offsets=0.0)
    person.eyes = person.eyes + np.array(amiss_cm, np.float32)
    subject = enrol(person.model, CAMERA, [person.landmarks() for _ in range(8)])
    fit = Fitter(person.model, CAMERA, subject).fit(person.landmarks())
    # The head stands straight before the camera but for what its fit takes for pitch.
    assert np.degrees(np.abs(fit.gaze[:, 1] - fit.rotation[0])).max() < 2


def test_nobody_cannot_be_enrolled() -> None:
    with pytest.raises(NoFaceError, match="no face"):
        enrol(Person().model, CAMERA, [])


def test_the_same_frames_give_the_same_subject() -> None:
    person = Person(seed=12)
    frames = speaking(person, 8)
    one, other = (enrol(person.model, CAMERA, frames) for _ in range(2))
    np.testing.assert_array_equal(one.offsets, other.offsets)
    np.testing.assert_array_equal(one.identity, other.identity)


def test_work_comes_in_steps_of_one_key_frame() -> None:
    person = Person(seed=13)
    enrolment = Enrolment(person.model, CAMERA)
    assert not enrolment.step()
    for points in speaking(person, 5):
        enrolment.offer(points, calm=True)
    assert [enrolment.step() for _ in range(5)] == [False] * 4 + [True]
    first = enrolment.error
    enrolment.run(4)
    assert enrolment.error < first
    assert enrolment.rounds == 5


def test_only_news_is_kept_and_room_is_bounded() -> None:
    person = Person(seed=14)
    enrolment = Enrolment(person.model, CAMERA, capacity=4)
    assert enrolment.offer(person.landmarks())
    assert not enrolment.offer(person.landmarks())
    for yaw in np.linspace(-0.8, 0.8, 9):
        enrolment.offer(person.landmarks((0, float(yaw), 0)))
    assert enrolment.keys == 4


def test_only_heads_that_turned_are_asked_for_the_lens() -> None:
    person = Person(seed=7)
    still, turning = Enrolment(person.model, CAMERA), Enrolment(person.model, CAMERA)
    for i in range(10):
        still.offer(person.landmarks((0, 0.005 * i, 0)), calm=True)
        turning.offer(person.landmarks((0, 0.05 * i - 0.25, 0)), calm=True)
    assert still.focal_search() is None
    search = turning.focal_search()
    assert search is not None
    assert not search.step()
