"""The focal length is found where poses determine it, and left to the prior where they don't."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_face import CAMERA, Person

from mien.errors import NoFaceError
from mien.face.fitting import Fitter
from mien.face.focal import PRIOR_SPREAD, FocalSearch, estimate_focal
from mien.face.model import load_model

pytestmark = pytest.mark.unit


def frames(times_side, yaw, count=10):
    person = Person(seed=2, offsets=0.03)
    camera = replace(CAMERA, focal=times_side * CAMERA.width)
    rng = np.random.default_rng(0)
    for i in range(count):
        points = person.landmarks(
            rotation=(0.5 * yaw * np.sin(1.3 * i), yaw * np.sin(0.9 * i + 0.2), 0.1 * yaw * np.cos(i)),
            translation=(1, 0, -30 * times_side * (1 + 0.1 * np.sin(i))),
            camera=camera,
            jawOpen=0.2 + 0.2 * np.sin(i),
        )
        points[:, :2] += 0.4 * rng.standard_normal((478, 2))
        yield points


@pytest.mark.parametrize("times_side", [1.1, 3.0])
def test_a_head_that_turns_tells_the_lens(times_side):
    found = estimate_focal(load_model(), CAMERA, frames(times_side, yaw=0.5))
    assert found.camera.focal / CAMERA.width == pytest.approx(times_side, rel=0.1)
    assert found.confidence > 0.8
    assert (found.camera.cx, found.camera.width) == (CAMERA.cx, CAMERA.width)


def test_a_single_frontal_frame_says_less():
    turning = estimate_focal(load_model(), CAMERA, frames(2.0, yaw=0.5))
    frontal = estimate_focal(load_model(), CAMERA, frames(2.0, yaw=0.0, count=1))
    assert turning.spread < frontal.spread <= PRIOR_SPREAD
    assert frontal.confidence < turning.confidence


def test_the_same_frames_say_no_more_when_they_are_searched_again():
    model, points = load_model(), list(frames(2.0, yaw=0.05, count=4))
    adopted = replace(CAMERA, focal=2.5 * CAMERA.focal)
    fitter = Fitter(model, adopted)
    fits = [fitter.fit(one) for one in points]

    def found(likely: float) -> float:
        search = FocalSearch(model, adopted, points, fits, likely)
        while not search.step():
            pass
        return search.estimate.camera.focal

    assert found(CAMERA.focal) < 0.8 * found(adopted.focal), "the prior stays where it was"


def test_no_frames_are_refused():
    with pytest.raises(NoFaceError):
        estimate_focal(load_model(), CAMERA, [])
