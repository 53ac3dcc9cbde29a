"""The landmark fit, against faces of which everything is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from synthetic_face import CAMERA, Person, expression, speaking

from mien.face.camera import rotation_matrix
from mien.face.fitting import Fitter
from mien.face.fitting_kernels import rotate_left, solve_boxed
from mien.face.rig import INDEX
from mien.face.subject import Subject

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def person() -> Person:
    return Person()


@pytest.fixture
def fitter(person: Person) -> Fitter:
    return Fitter(person.model, CAMERA, _known(person))


def _known(person: Person) -> Subject:
    return Subject(person.model.name, person.identity, CAMERA, person.offsets)


def test_pose_of_a_known_face_is_recovered(person: Person, fitter: Fitter) -> None:
    rotation, translation = (0.15, -0.3, 0.1), (2.0, -1.0, -55.0)
    fit = fitter.fit(person.landmarks(rotation, translation))
    np.testing.assert_allclose(fit.rotation, rotation, atol=0.01)
    np.testing.assert_allclose(fit.translation, translation, atol=0.3)
    assert fit.error < 0.003


@pytest.mark.parametrize("yaw", [-0.9, -0.5, 0.5, 0.9])
def test_a_turned_head_is_acquired_in_one_frame(person: Person, fitter: Fitter, yaw: float) -> None:
    fit = fitter.fit(person.landmarks((0, yaw, 0)))
    assert fit.rotation[1] == pytest.approx(yaw, abs=0.05)


@pytest.mark.parametrize("name", ["jawOpen", "mouthPucker", "browInnerUp", "mouthLeft", "mouthFunnel"])
def test_an_expression_reads_as_itself(person: Person, fitter: Fitter, name: str) -> None:
    fitter.fit(person.landmarks())
    for _ in range(8):
        fit = fitter.fit(person.landmarks(**{name: 0.8}))
    assert fit.expression[INDEX[name]] > 0.5
    assert np.argmax(fit.expression) == INDEX[name]


def test_left_and_right_are_the_subjects(person: Person, fitter: Fitter) -> None:
    for _ in range(4):
        fit = fitter.fit(person.landmarks(eyeBlinkLeft=1.0, mouthSmileRight=0.9))
    assert fit.closed[0] > 0.9
    assert fit.closed[1] < 0.1
    assert fit.expression[INDEX["mouthSmileRight"]] > fit.expression[INDEX["mouthSmileLeft"]] + 0.4


def test_looking_down_is_not_blinking(person: Person, fitter: Fitter) -> None:
    lids = {"eyeLookDownLeft": 0.6, "eyeLookDownRight": 0.6}
    for _ in range(4):
        fit = fitter.fit(person.landmarks(gaze=(0, float(np.radians(-9))), **lids))
    assert fit.closed.max() < 0.25
    assert fit.expression[INDEX["eyeLookDownLeft"]] == pytest.approx(0.6, abs=0.12)


def test_weights_stay_in_their_box(person: Person, fitter: Fitter) -> None:
    for points in speaking(person, 10, noise_px=3.0):
        fit = fitter.fit(points)
        assert fit.expression.min() >= 0
        assert fit.expression.max() <= 1


def test_lips_never_close_further_than_the_jaw_opened_them(person: Person, fitter: Fitter) -> None:
    for _ in range(6):
        fit = fitter.fit(person.landmarks(jawOpen=0.6, mouthClose=0.6))
    weights = fit.expression
    assert weights[INDEX["mouthClose"]] <= weights[INDEX["jawOpen"]] + 0.05
    assert weights[INDEX["jawOpen"]] - weights[INDEX["mouthClose"]] < 0.12


def test_a_picture_twice_as_large_says_the_same(person: Person) -> None:
    points = person.landmarks((0.1, 0.2, 0), jawOpen=0.5)
    small = Fitter(person.model, CAMERA, _known(person)).fit(points)
    large = Fitter(person.model, CAMERA.scaled(2.0), _known(person)).fit(2 * points)
    np.testing.assert_allclose(small.expression, large.expression, atol=0.02)
    np.testing.assert_allclose(small.translation, large.translation, atol=0.1)


def test_a_face_that_jumps_is_found_again(person: Person, fitter: Fitter) -> None:
    fitter.fit(person.landmarks(translation=(-10, 5, -50)))
    fit = fitter.fit(person.landmarks((0.2, 0.6, 0.5), (12, -6, -90)))
    np.testing.assert_allclose(fit.translation, (12, -6, -90), atol=1.0)


def test_projection_meets_the_landmarks(person: Person, fitter: Fitter) -> None:
    points = person.landmarks((0.1, -0.2, 0))
    projected = fitter.project(fitter.fit(points))
    firm = fitter.basis.trust > 0.5
    assert np.linalg.norm(projected[firm] - points[firm, :2], axis=1).mean() < 0.5


def test_resuming_gives_the_same_as_going_on(person: Person) -> None:
    frames = speaking(person, 4)
    one = Fitter(person.model, CAMERA, _known(person))
    fits = [one.fit(points) for points in frames]
    other = Fitter(person.model, CAMERA, _known(person))
    other.resume(fits[2])
    np.testing.assert_allclose(other.fit(frames[3]).expression, fits[3].expression, atol=1e-3)


def test_boxed_solver_agrees_with_scipy() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        rows = rng.standard_normal((60, 20))
        wanted = rng.standard_normal(60)
        low, high = np.zeros(20), np.ones(20)
        low[-6:], high[-6:] = -np.inf, np.inf
        expected = lsq_linear(rows, wanted, (low, high), tol=1e-12).x
        x = np.zeros(20, np.float32)
        rounds = solve_boxed(
            np.ascontiguousarray(rows.T @ rows, np.float32), (rows.T @ wanted).astype(np.float32), x,
            low.astype(np.float32), high.astype(np.float32),
            np.zeros((20, 20), np.float32), np.zeros(20, np.float32), np.zeros(20, np.int64),
        )  # fmt: skip
        np.testing.assert_allclose(x, expected, atol=2e-3)
        assert rounds < 30


def test_increments_of_rotation_match_rodrigues() -> None:
    start, increment = rotation_matrix(np.array([0.3, -0.2, 0.7])), np.array([0.2, 0.1, -0.4], np.float32)
    rotation = start.copy()
    rotate_left(rotation, increment)
    np.testing.assert_allclose(rotation, rotation_matrix(increment) @ start, atol=1e-5)
    for _ in range(2000):
        rotate_left(rotation, increment)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)


def test_the_helper_names_expressions() -> None:
    assert expression(jawOpen=0.5)[INDEX["jawOpen"]] == 0.5
