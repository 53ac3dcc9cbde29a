"""Fine motion of the skin: found in pictures of a face whose skin is known to have moved."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from mien.controls import Controls
from mien.drive.skin import SkinDetail, coarse, kinship
from mien.face.camera import Camera
from mien.face.chart import COLUMNS, ROWS, Chart, Lookup
from mien.face.fitting import Fit, Fitter
from mien.face.landmark_basis import MESH, LandmarkBasis
from mien.face.model import FaceModel, load_model
from mien.face.retargeting import mirrored_detail
from mien.face.skin_motion import SkinMotion
from mien.face.spare import Spare
from mien.face.subject import Subject
from mien.frames import DETAIL, EXPRESSIONS, Bytes, FaceParams, Float
from mien.performance.reader import PerformanceReader
from mien.performance.writer import PerformanceWriter

pytestmark = pytest.mark.unit

SIZE = 320
LEFT_BROW, CHIN, NOSE = 282, 152, 1


@dataclass
class Scene:
    """A face with a random skin, seen from the front."""

    model: FaceModel
    fitter: Fitter
    fit: Fit
    points: Float
    skin: Float

    def picture(self, gain: Float | float = 1.0) -> Bytes:
        return np.repeat(np.clip(self.skin * gain, 0, 255).astype(np.uint8)[..., None], 3, axis=2)

    def slid(self, at: Float, up_px: float, reach_px: float = 25.0) -> Scene:
        """The same, with the skin around `at` moved up."""
        y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
        lift = up_px * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * reach_px**2))
        return replace(self, skin=map_coordinates(self.skin, [y + lift, x], order=1, mode="nearest"))


@pytest.fixture(scope="module")
def scene() -> Scene:
    model = load_model()
    camera = Camera.guess(SIZE, SIZE)
    fitter = Fitter(model, camera)
    still = Fit(
        np.zeros(3, np.float32),
        np.array([0, 3, -45], np.float32),
        np.zeros(EXPRESSIONS, np.float32),
        np.zeros((2, 2), np.float32),
        np.zeros(2, np.float32),
        0.0,
    )
    points = fitter.project(still)
    fitter.resume(still)
    rng = np.random.default_rng(1)
    grain = sum(gaussian_filter(rng.normal(size=(SIZE, SIZE)), s) * s for s in (2.0, 5.0))
    return Scene(model, fitter, still, points, np.asarray(120 + 25 * grain / np.std(grain), np.float32))


@pytest.fixture
def known(scene: Scene) -> SkinMotion:
    skin = SkinMotion(scene.model)
    skin.learn(scene.picture(), scene.points, scene.fitter, scene.fit)
    return skin


def test_says_nothing_before_it_knows_a_face(scene: Scene) -> None:
    skin = SkinMotion(scene.model)
    assert not skin.knows
    assert skin.steadied(scene.picture(), scene.points) is scene.points
    assert skin.detail(scene.fitter, scene.fit) is None


def test_the_same_picture_moves_nothing(scene: Scene, known: SkinMotion) -> None:
    steadied = known.steadied(scene.picture(), scene.points)
    assert np.abs(steadied - scene.points).max() < 0.05
    detail = known.detail(scene.fitter, scene.fit)
    assert detail is not None
    assert detail.shape == DETAIL
    assert np.abs(detail).max() < 0.01
    assert known.likeness > 0.99


def test_skin_that_moved_is_found(scene: Scene, known: SkinMotion) -> None:
    moved = scene.slid(scene.points[LEFT_BROW], up_px=4.0)
    steadied = known.steadied(moved.picture(), scene.points)
    change = (steadied - scene.points)[:MESH]
    assert change[LEFT_BROW, 1] == pytest.approx(-2.0, abs=0.5)
    assert abs(change[LEFT_BROW, 0]) < 0.5
    assert np.abs(change[CHIN]).max() < 0.3
    detail = known.detail(scene.fitter, scene.fit)
    assert detail is not None
    raised = Lookup.of(LandmarkBasis.of(scene.model).mean[[LEFT_BROW, CHIN]])(detail)
    px_per_cm = scene.fitter.camera.focal / 43
    assert raised[0, 1] == pytest.approx(4.0 / px_per_cm, rel=0.25)
    assert abs(raised[1, 1]) < 0.05


def test_what_was_found_is_where_the_next_frame_begins(scene: Scene, known: SkinMotion) -> None:
    moved = scene.slid(scene.points[LEFT_BROW], up_px=7.0).picture()

    def found() -> float:
        return float(known.steadied(moved, scene.points)[LEFT_BROW, 1] - scene.points[LEFT_BROW, 1])

    once = found()
    for _ in range(3):
        later = found()
    assert abs(later - -3.5) < abs(once - -3.5)
    for _ in range(8):
        still = known.steadied(scene.picture(), scene.points)
    assert np.abs(still - scene.points).max() < 0.05


def test_landmarks_that_wander_are_brought_back(scene: Scene, known: SkinMotion) -> None:
    rng = np.random.default_rng(2)
    wandered = scene.points.copy()
    wandered[:MESH] += gaussian_filter(rng.normal(size=(MESH, 2)), (30, 0)) * 12
    off = np.abs(wandered - scene.points)[:MESH].mean()
    steadied = known.steadied(scene.picture(), np.asarray(wandered, np.float32))
    assert np.abs(steadied - scene.points)[:MESH].mean() < 0.8 * off


def test_other_light_is_no_motion(scene: Scene, known: SkinMotion) -> None:
    dusk = np.linspace(0.5, 1.1, SIZE, dtype=np.float32)[None, :]
    steadied = known.steadied(scene.picture(dusk), scene.points)
    assert np.abs(steadied - scene.points).mean() < 0.1
    assert np.abs(steadied - scene.points).max() < 1.0


def test_a_hand_before_the_face_changes_nothing(scene: Scene, known: SkinMotion) -> None:
    other = np.random.default_rng(3).normal(size=(SIZE, SIZE))
    hidden = replace(scene, skin=np.asarray(120 + 300 * gaussian_filter(other, 3.0), np.float32))
    assert np.array_equal(known.steadied(hidden.picture(), scene.points), scene.points)
    detail = known.detail(scene.fitter, scene.fit)
    assert detail is not None
    assert not detail.any()


def test_faces_at_the_border_or_far_away_do_no_harm(scene: Scene, known: SkinMotion) -> None:
    for points in (scene.points + np.float32(250), scene.points * np.float32(0.02)):
        assert np.isfinite(known.steadied(scene.picture(), points)).all()


def test_only_a_calm_face_is_kept(scene: Scene) -> None:
    subject = Subject("mien-head", np.zeros(0, np.float32), scene.fitter.camera)
    skin = SkinMotion(scene.model)
    for restless in (
        replace(scene.fit, closed=np.ones(2, np.float32)),
        replace(scene.fit, rotation=np.array([0, 0.4, 0], np.float32)),
        replace(scene.fit, error=0.1),
    ):
        skin.offer(scene.picture(), scene.points, scene.fitter, restless, subject)
        assert not skin.knows
    skin.offer(scene.picture(), scene.points, scene.fitter, scene.fit, subject)
    assert skin.knows


def test_settling_goes_on_from_the_present_frame(scene: Scene, known: SkinMotion) -> None:
    known.settle(scene.fitter, scene.fit)
    known.steadied(scene.picture(), scene.points)
    detail = known.detail(scene.fitter, scene.fit)
    assert detail is not None
    assert np.abs(detail).max() < 0.1


def test_chart_lies_on_skin_and_is_symmetric(scene: Scene) -> None:
    chart = Chart.of(scene.model)
    assert Chart.of(scene.model) is chart
    assert (np.diff(chart.fine.cell) >= 0).all()
    assert np.allclose(chart.fine.share.sum(axis=1), 1, atol=1e-4)
    middle = Lookup.of(np.zeros((1, 2), np.float32))
    across = np.tile(np.arange(COLUMNS, dtype=np.float32), ROWS)[:, None]
    assert middle(across)[0, 0] == pytest.approx((COLUMNS - 1) / 2, abs=1e-3)


# --- on the way to the avatar -------------------------------------------------------------------------


def _lattice(seed: int = 0) -> Float:
    return np.random.default_rng(seed).normal(scale=0.2, size=DETAIL).astype(np.float32)


def _subject(identity: float = 0.0) -> Subject:
    return Subject("mien-head", np.full(1, identity, np.float32), Camera.guess(64, 64))


def test_mirrored_twice_is_the_same() -> None:
    detail = _lattice()
    assert np.array_equal(mirrored_detail(mirrored_detail(detail)), detail)
    assert mirrored_detail(detail)[0, 0, 0] == -detail[0, -1, 0]


def test_the_same_person_takes_all_of_it_and_another_the_coarse_part() -> None:
    own, other = _subject(), _subject(6.0)
    assert kinship(own, own) == 1.0
    assert kinship(own, other) == 0.0
    assert kinship(own, replace(own, model="another")) == 0.0
    seen = FaceParams(0, detail=_lattice())
    skin_only = _lattice() * Chart.of(load_model()).skin.reshape(*DETAIL[:2], 1)
    for avatar, wanted in ((own, _lattice()), (other, coarse(skin_only))):
        skin = SkinDetail(avatar)
        found = None
        for _ in range(10):
            found = skin.step(seen, own, Controls(), 0.0, 0.04)
        assert found is not None
        assert np.allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize(
    "strange",
    [
        {"model": "no-such-model"},
        {"model": "a" * 5000},
        {"model": "a/b"},
        {"identity": np.zeros(999, np.float32)},
    ],
)
def test_a_face_of_a_model_that_is_not_here_moves_no_skin(strange: dict[str, Any]) -> None:
    skin = SkinDetail(_subject())
    seen = FaceParams(0, detail=_lattice())
    found = skin.step(seen, replace(_subject(), **strange), Controls(), 0.0, 0.04)
    assert found is not None
    assert not found.any()


def test_hair_and_neck_follow_their_owner_only() -> None:
    own, other = _subject(), _subject(6.0)
    seen = FaceParams(0, detail=_lattice(), detail_around=0.8)
    for avatar, wanted in ((own, 0.8), (other, 0.0)):
        skin = SkinDetail(avatar)
        for _ in range(10):
            skin.step(seen, own, Controls(), 0.0, 0.04)
        assert skin.around == pytest.approx(wanted, abs=1e-3)
        skin.step(None, None, Controls(), 0.0, 0.04)
        assert 0.5 * wanted <= skin.around <= wanted
        for _ in range(100):
            skin.step(None, None, Controls(), 0.0, 0.04)
        assert skin.around == 0.0


def test_detail_fades_when_nobody_is_seen() -> None:
    skin = SkinDetail(_subject())
    assert skin.step(None, None, Controls(), 0.0, 0.04) is None
    before = skin.step(FaceParams(0, detail=_lattice()), _subject(), Controls(), 0.0, 0.04)
    after = skin.step(None, None, Controls(), 0.0, 0.04)
    assert before is not None
    assert after is not None
    assert 0.5 < np.abs(after).max() / np.abs(before).max() < 0.95
    for _ in range(100):
        after = skin.step(None, None, Controls(), 0.0, 0.04)
    assert after is None


def test_a_voice_that_has_the_mouth_and_dubbing_leave_the_skin_alone() -> None:
    seen = FaceParams(0, detail=_lattice())
    spoken = SkinDetail(_subject()).step(seen, _subject(), Controls(), 1.0, 0.04)
    assert spoken is None or not spoken.any()
    assert SkinDetail(_subject()).step(seen, _subject(), Controls(mode="dubbing"), 0.0, 0.04) is None


def test_a_performance_holds_it(tmp_path: Path) -> None:
    frames = [FaceParams(i * 40_000_000, index=i, detail=_lattice(i) if i != 1 else None) for i in range(4)]
    path = tmp_path / "skin.performance"
    with PerformanceWriter(path, _subject(), 25.0) as writer:
        for frame in frames:
            writer.add(frame)
    with PerformanceReader(path) as reader:
        later = [event for event in reader.events(0.08) if isinstance(event, FaceParams)]
        for frame, read in zip((*frames, *frames[2:]), (*reader, *later), strict=True):
            assert read.index == frame.index
            if frame.detail is None:
                assert read.detail is None
                assert read.detail_around == 0
            else:
                assert read.detail is not None
                assert np.abs(read.detail - frame.detail).max() < 0.0051
                assert read.detail_around == 1


def test_it_is_left_out_when_time_is_short_until_there_is_room_again() -> None:
    spare = Spare(40e6)
    for _ in range(200):
        spare.note(15_000_000)
        assert spare.allowed
    spare.note(10_000_000_000)
    assert spare.allowed
    held_up = 0
    while spare.allowed:
        spare.note(25_000_000)
        held_up += 1
    assert 1 < held_up < 200
    for _ in range(2000):
        spare.note(12_000_000)
        assert not spare.allowed
    frames = 0
    while not spare.allowed:
        spare.note(8_000_000)
        frames += 1
    assert frames < 200
    forever = Spare(math.inf)
    forever.note(10**12)
    assert forever.allowed
