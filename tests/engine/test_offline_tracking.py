"""Offline tracking of a drawn person: gradients, what is found again, smoothing, and going on after an interruption."""

from dataclasses import replace

import numpy as np
import pytest

from drawn_person import CAMERA, Scene, state
from mien.face.camera import Camera, axis_angle
from mien.face.landmark_basis import LandmarkBasis
from mien.face.landmark_term import FRAME, fields_of, linearise
from mien.face.light import ambient
from mien.face.offline import bundle, smoothing
from mien.face.offline.bundle import Bundle, KeyFrame
from mien.face.offline.checkpoint import Checkpoint, fingerprint
from mien.face.offline.crop import Crop, cut
from mien.face.offline.frame import FrameSolver, follow_gaze, move
from mien.face.offline.picture import Photometry
from mien.face.offline.shape import ShapeFields
from mien.face.offline.smoothing import packed, smooth_changes, smoothed, smoothed_lids
from mien.face.portrait import PortraitNumbers
from mien.face.reflectance import Reflectance
from mien.face.retargeting import eye_look
from mien.face.rig import ARKIT_NAMES, INDEX
from mien.frames import EXPRESSIONS, FaceParams

pytestmark = [pytest.mark.unit, pytest.mark.plugin]

LOOKING = [i for i, name in enumerate(ARKIT_NAMES) if name.startswith("eyeLook")]


@pytest.fixture(scope="module")
def scene():
    return Scene()


def test_landmark_rows_are_the_derivatives(scene):
    basis = LandmarkBasis.of(scene.model)
    shape = basis.identity[:3]
    seen = state(jawOpen=0.3)
    neutral = basis.shape(scene.person.subject.identity, scene.person.subject.offsets)

    posed = neutral + np.tensordot(seen.expression, basis.expression, 1).T
    points = CAMERA.project((posed @ seen.rotation.T + seen.translation).astype(np.float32))

    def rows(moved, coefficients, camera):
        posed = neutral + np.tensordot(moved.expression, basis.expression, 1).T
        posed = posed + np.tensordot(coefficients, shape, 1)
        return linearise(
            basis, points, posed.astype(np.float32), fields_of(basis, shape), moved.rotation,
            moved.translation, camera,
        )  # fmt: skip

    at = rows(seen, np.zeros(3), CAMERA)
    step = 1e-3
    for column in (
        INDEX["jawOpen"],
        INDEX["mouthSmileLeft"],
        EXPRESSIONS,
        EXPRESSIONS + 1,
        EXPRESSIONS + 4,
        FRAME,
    ):
        moved, coefficients = seen.copy(), np.zeros(3)
        if column < FRAME:
            change = np.zeros(FRAME)
            change[column] = step
            move(moved, change)
        else:
            coefficients[0] = step
        slope = (at.residual - rows(moved, coefficients, CAMERA).residual) / step
        assert np.allclose(
            slope, at.jacobian[:, column], atol=0.03 * np.abs(at.jacobian[:, column]).max() + 1e-2
        )
    longer = rows(seen, np.zeros(3), replace(CAMERA, focal=CAMERA.focal * np.exp(step)))
    slope = (at.residual - longer.residual) / step
    assert np.allclose(slope, at.jacobian[:, -1], atol=0.03 * np.abs(at.jacobian[:, -1]).max() + 1e-2)


def test_photometric_rows_point_downhill(scene):
    true, off = state(jawOpen=0.2), state(jawOpen=0.2)
    crop = Crop(scene.picture(true), CAMERA)
    for column, by in ((EXPRESSIONS + 1, 0.02), (EXPRESSIONS + 3, 0.1), (INDEX["browInnerUp"], 0.3)):
        moved = off.copy()
        change = np.zeros(FRAME)
        change[column] = by
        move(moved, change)
        drawn = scene.photometry.draw(scene.person, moved, crop, relight=False)
        matrix, right, _ = scene.photometry.equations(drawn, moved, crop)
        # Newton's step along that unknown alone brings it back.
        assert right[column] / matrix[column, column] == pytest.approx(-by, rel=0.35)


def test_shared_rows_agree_with_the_frame_s_own(scene):
    fields = ShapeFields.of(scene.model)
    both = Photometry(scene.model, scene.rasterizer, fields.vertices)
    seen = state(mouthSmileLeft=0.4)
    crop = Crop(np.clip(scene.picture(state()) * 1.1, 0, 1), CAMERA)
    drawn = both.draw(scene.person, seen, crop)
    alone, right, error = scene.photometry.equations(drawn, seen, crop)
    shared, pull, same = both.equations(drawn, seen, crop, shared=True)
    assert np.allclose(shared[:FRAME, :FRAME], alone, rtol=1e-3, atol=1e-5)
    assert np.allclose(pull[:FRAME], right, rtol=1e-3, atol=1e-5)
    assert error == pytest.approx(same)
    assert shared.shape[0] == FRAME + len(fields.spread) + 1


def test_pixels_find_what_landmarks_get_wrong(scene):
    true = state(jawOpen=0.3, mouthSmileLeft=0.5, browInnerUp=0.4)
    rng = np.random.default_rng(0)
    points = scene.landmarks(true) + rng.normal(0, 0.6, (478, 2)).astype(np.float32)
    crop = Crop(scene.picture(true), CAMERA)
    start = state()
    move(start, np.array([*np.zeros(EXPRESSIONS), 0.02, -0.03, 0.01, 0.1, -0.1, 1.0]))
    solver = FrameSolver(scene.model, scene.photometry)
    solved = solver.solve(scene.person, [crop, crop], points, CAMERA, start)
    turned = axis_angle(solved.state.rotation @ true.rotation.T)
    assert np.linalg.norm(turned) < 0.01
    for name in ("jawOpen", "mouthSmileLeft", "browInnerUp"):
        assert solved.state.expression[INDEX[name]] == pytest.approx(true.expression[INDEX[name]], abs=0.12)
    assert solved.error < 0.02
    assert solved.information.shape == (FRAME, FRAME)


def test_a_crop_keeps_the_geometry():
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[120:124, 200:204] = 255
    camera = Camera.guess(400, 300)
    points = np.array([[150, 80], [250, 170]], np.float32)
    crop = cut(pixels, camera, points, 64)
    row, column = np.unravel_index(crop.colours[:, :, 0].argmax(), (64, 64))
    ray = np.array([(202 - camera.cx) / camera.focal, (122 - camera.cy) / camera.focal])
    seen = crop.camera.focal * ray + (crop.camera.cx, crop.camera.cy)
    assert np.abs(seen - (column + 0.5, row + 0.5)).max() < 1.0
    assert cut(pixels, camera, points, 512).colours.shape[0] == 130, "never finer than the picture"


def test_smoothing_calms_noise_and_keeps_a_jump():
    rng = np.random.default_rng(0)
    true = np.where(np.arange(60) < 30, 0.0, 1.0)[:, None]
    values = true + 0.02 * rng.standard_normal((60, 1))
    information = np.full((60, 1, 1), 0.1 / 0.02**2)
    change = smooth_changes(information, np.diff(values, axis=0), np.array([0.1 / 0.01**2]), np.array([0.01]))
    calm = values + change
    assert np.abs(np.diff(calm[:29], axis=0)).mean() < 0.4 * np.abs(np.diff(values[:29], axis=0)).mean()
    assert calm[31, 0] - calm[28, 0] > 0.9


def test_a_lone_frame_is_left_as_it_is():
    one = state(jawOpen=0.4)
    (same,) = smoothed([one], [packed(np.eye(FRAME))])
    assert np.array_equal(same.expression, one.expression)
    assert same is not one


def test_what_is_smoothed_is_a_face_still():
    """Lips close no further than the jaw is open, and the lids go where the eyes look."""
    rng = np.random.default_rng(0)
    frames = []
    for i in range(40):
        weight = 0.3 * (i // 10 % 2)
        frame = state(jawOpen=weight, mouthClose=weight)
        frame.gaze = (0.3 * (i // 7 % 2) + 0.02 * rng.standard_normal((2, 2))).astype(np.float32)
        follow_gaze(frame)
        frames.append(frame)
    for frame in smoothed(frames, [packed(50 * np.eye(FRAME))] * len(frames)):
        assert frame.expression[INDEX["mouthClose"]] <= frame.expression[INDEX["jawOpen"]]
        assert np.allclose(frame.expression[LOOKING], eye_look(frame.gaze)[LOOKING], atol=1e-6)


def test_lids_are_calm_and_blinks_are_whole():
    rng = np.random.default_rng(0)
    closed = 0.1 + 0.02 * rng.standard_normal((80, 2))
    closed[40:43] = np.array([0.5, 1.0, 0.4])[:, None]
    calm = smoothed_lids(closed.astype(np.float32))
    assert np.abs(np.diff(calm[:38], axis=0)).mean() < 0.6 * np.abs(np.diff(closed[:38], axis=0)).mean()
    assert calm[41].min() > 0.96
    assert np.array_equal(smoothed_lids(calm[:1]), calm[:1])


def test_a_long_clip_is_smoothed_in_windows_that_agree_with_the_whole(monkeypatch):
    rng = np.random.default_rng(0)
    closed = (0.3 + 0.02 * rng.standard_normal((150, 2))).astype(np.float32)
    whole = smoothed_lids(closed)
    most = 0

    def counted(information, *rest):
        nonlocal most
        most = max(most, len(information))
        return smooth_changes(information, *rest)

    monkeypatch.setattr(smoothing, "smooth_changes", counted)
    monkeypatch.setattr(smoothing, "_WINDOW", 60)
    monkeypatch.setattr(smoothing, "_OVERLAP", 20)
    parts = smoothed_lids(closed)
    assert most == 60, "and memory for as many"
    assert np.abs(parts - whole).max() < 0.05 * np.abs(closed - whole).max()


def test_the_lens_is_drawn_to_the_guess_where_the_key_frames_say_nothing(scene, monkeypatch):
    """The prior has a centre: it doesn't only damp the steps from wherever the search began."""
    monkeypatch.setattr(bundle, "ROUNDS", 1)
    monkeypatch.setattr(bundle, "PRIOR_SPREAD", 1e-4)
    monkeypatch.setattr(Bundle, "paint", lambda *_, **__: None)  # colours are beside the point, and take long
    seen = state(jawOpen=0.2)
    crop = Crop(scene.picture(seen), CAMERA)
    far = replace(CAMERA, focal=1.08 * CAMERA.focal)
    subject = replace(scene.person.subject, camera=far)
    keys = [KeyFrame(replace(crop, camera=far), scene.landmarks(seen), seen)]
    meeting = Bundle(scene.model, scene.rasterizer, ShapeFields.of(scene.model), Reflectance.of(scene.model))
    person = meeting.solve(subject, keys, CAMERA, lambda _: None)
    assert person.subject.camera.focal == pytest.approx(CAMERA.focal, rel=1e-3)


def test_every_group_of_the_portrait_can_be_read_off(scene):
    params = FaceParams(0, light=ambient())
    numbers = PortraitNumbers.of(scene.person.subject, params)
    assert numbers.sizes == {
        "rotation": 3, "translation": 3, "identity": 20, "reflectance": 78, "expression": 52, "gaze": 4, "light": 27,
    }  # fmt: skip
    assert len(numbers.vector()) == 187


def test_a_checkpoint_is_only_for_what_it_was_made_from(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x")
    out = tmp_path / "out.performance"
    mine = Checkpoint.beside(out, fingerprint(clip, model="mien-head"))
    assert mine.load() is None
    mine.save({"seen": np.arange(3)})
    assert mine.load()["seen"].tolist() == [0, 1, 2]
    assert Checkpoint.beside(out, fingerprint(clip, model="other")).load() is None
    mine.path.write_bytes(mine.path.read_bytes()[:-40])
    assert mine.load() is None
    mine.remove()
    assert list(tmp_path.iterdir()) == [clip]
