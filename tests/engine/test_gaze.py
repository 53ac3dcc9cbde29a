"""Gaze from the irises."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_face import CAMERA, Person

from mien.face.camera import rotation_matrix
from mien.face.gaze import EDGE_GAINS, Edges, gaze_of
from mien.face.landmark_basis import IRISES
from mien.frames import Float

pytestmark = pytest.mark.unit

_AHEAD = np.zeros((2, 2), np.float32)


@pytest.fixture(scope="module")
def person() -> Person:
    return Person(seed=4)


def _gaze(person: Person, points: Float, turn: tuple[float, float, float], before: Float = _AHEAD) -> Float:
    place = np.array([0, 0, -60], np.float32)
    eyes = np.ascontiguousarray(person.eyes)
    rotation = rotation_matrix(np.array(turn))
    return gaze_of(points[:, :2].copy(), CAMERA, rotation, place, eyes, person.basis.eye_radius, before)


def _with_edges(person: Person, points: Float, edges: Edges) -> Float:
    rotation, place = np.eye(3, dtype=np.float32), np.array([0, 0, -60], np.float32)
    eyes, radius = np.ascontiguousarray(person.eyes), person.basis.eye_radius
    return gaze_of(points[:, :2].copy(), CAMERA, rotation, place, eyes, radius, _AHEAD, edges=edges)


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.2, -0.4, 0.1), (-0.15, 0.5, 0)])
@pytest.mark.parametrize("gaze", [(0, 0), (20, 0), (-20, 5), (0, 15), (10, -15)])
def test_irises_where_the_network_leaves_them_give_the_angle_back(
    person: Person, gaze: tuple[float, float], turn: tuple[float, float, float]
) -> None:
    """It shows irises that go 0.85 of the way sideways, three quarters up, 0.6 down."""
    shown = np.radians([0.85 * gaze[0], (0.75 if gaze[1] > 0 else 0.6) * gaze[1]])
    found = _gaze(person, person.landmarks(turn, gaze=(float(shown[0]), float(shown[1]))), turn)
    np.testing.assert_allclose(np.degrees(found), [gaze, gaze], atol=2.0)


@pytest.mark.parametrize("turn", [(0, 0, 0), (-0.15, 0.5, 0)])
def test_a_gaze_further_out_reads_further_out_and_the_same_to_both_sides(
    person: Person, turn: tuple[float, float, float]
) -> None:
    reach = np.radians([-15, -10, -5, 0, 5, 10, 15])
    yaw = [_gaze(person, person.landmarks(turn, gaze=(float(one), 0.0)), turn)[:, 0].mean() for one in reach]
    pitch = [
        _gaze(person, person.landmarks(turn, gaze=(0.0, float(one))), turn)[:, 1].mean() for one in reach
    ]
    assert (np.diff(yaw) > np.radians(4)).all()
    assert (np.diff(pitch) > np.radians(4)).all()
    np.testing.assert_allclose(yaw, -np.flip(yaw), atol=np.radians(1.5))


def test_a_falling_lid_does_not_take_the_gaze_along(person: Person) -> None:
    sunk = person.landmarks(gaze=(0.0, -0.2))
    rotation, place = np.eye(3, dtype=np.float32), np.array([0, 0, -60], np.float32)
    radius, before = person.basis.eye_radius, np.zeros((2, 2), np.float32)
    eyes, points = np.ascontiguousarray(person.eyes), sunk[:, :2].copy()
    followed, held = (
        gaze_of(points, CAMERA, rotation, place, eyes, radius, before, np.full(2, closed, np.float32))
        for closed in (0.1, 0.8)
    )
    assert abs(held[0, 1]) < 0.6 * abs(followed[0, 1])


def test_shut_eyes_hold_their_gaze(person: Person) -> None:
    before = np.array([[0.2, 0.1], [0.2, 0.1]], np.float32)
    shut = person.landmarks(gaze=(-0.3, -0.4), eyeBlinkLeft=1.0, eyeBlinkRight=1.0)
    np.testing.assert_allclose(_gaze(person, shut, (0, 0, 0), before), before, atol=0.05)


def test_a_winking_eye_follows_the_open_one(person: Person) -> None:
    before = np.array([[0.0, 0.0], [0.0, 0.0]], np.float32)
    wink = person.landmarks(gaze=(0.85 * 0.3, 0.0), eyeBlinkLeft=1.0)
    wink[473, :2] += 15  # where the network guesses a hidden iris
    found = _gaze(person, wink, (0, 0, 0), before)
    np.testing.assert_allclose(found[:, 0], 0.3, atol=0.05)


def test_an_iris_that_is_nowhere_is_held(person: Person) -> None:
    points = person.landmarks()
    points[[468, 473]] = np.nan
    before = np.full((2, 2), 0.1, np.float32)
    np.testing.assert_array_equal(_gaze(person, points, (0, 0, 0), before), before)


@pytest.mark.parametrize("gaze", [(0, 0), (15, 5), (-10, -12)])
def test_an_edge_that_is_seen_is_believed_before_its_landmark(
    person: Person, gaze: tuple[float, float]
) -> None:
    """Eyeballs go along with the eyes by a quarter of their turn, since they are placed by landmarks that do."""
    gains = (EDGE_GAINS.aside, EDGE_GAINS.up if gaze[1] > 0 else EDGE_GAINS.down)
    shown = np.radians(gaze) / gains
    edge = person.landmarks(gaze=(float(shown[0]), float(shown[1])))[list(IRISES), :2].copy()
    found = _with_edges(person, person.landmarks(), Edges(edge, np.ones((2, 2), np.float32), None))
    np.testing.assert_allclose(np.degrees(found), [gaze, gaze], atol=1.5)


def test_edges_that_say_nothing_change_nothing(person: Person) -> None:
    points = person.landmarks(gaze=(0.2, 0.1))
    nowhere = Edges(np.full((2, 2), np.nan, np.float32), np.zeros((2, 2), np.float32), None)
    np.testing.assert_array_equal(_with_edges(person, points, nowhere), _gaze(person, points, (0, 0, 0)))


def test_of_an_edge_under_a_lid_the_way_aside_is_believed(person: Person) -> None:
    edge = person.landmarks(gaze=(0.2, 0.2))[list(IRISES), :2].copy()
    sure = np.array([[1, 0], [1, 0]], np.float32)
    found = _with_edges(person, person.landmarks(), Edges(edge, sure, None))
    ahead = _gaze(person, person.landmarks(), (0, 0, 0))
    np.testing.assert_allclose(found[:, 1], ahead[:, 1], atol=1e-4)
    np.testing.assert_allclose(found[:, 0], EDGE_GAINS.aside * 0.2, atol=0.03)


def test_an_iris_off_its_eyeball_stays_finite_and_bounded(person: Person) -> None:
    points = person.landmarks()
    points[[468, 473], 0] += 500
    found = _gaze(person, points, (0, 0, 0))
    assert np.all(np.abs(found) <= np.radians(50) + 1e-6)
