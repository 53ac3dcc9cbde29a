"""The model format and the built-in head."""

from __future__ import annotations

import math
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numba.core.registry import CPUDispatcher
from scipy.spatial import cKDTree

from mien.errors import ConfigError, PackageError
from mien.face import model as face_model
from mien.face import warming
from mien.face.model import EYES, FaceModel, PosedFace, Region, gaze_rotation, load_model, save_model
from mien.face.rig import ARKIT_NAMES, INDEX, MIRROR
from reference import NOMINAL_MS, Reference

pytestmark = pytest.mark.unit

UPPER_LID, LOWER_LID = (398, 384, 385, 386, 387, 388, 466), (382, 381, 380, 374, 373, 390, 249)


@pytest.fixture(scope="module")
def head() -> FaceModel:
    return load_model("mien-head")


@pytest.fixture(scope="module")
def nobody(head: FaceModel) -> PosedFace:
    """The mean face."""
    return PosedFace(head, np.zeros(len(head.identity), np.float32))


def weights(**named: float) -> np.ndarray:
    result = np.zeros(len(ARKIT_NAMES), np.float32)
    for name, weight in named.items():
        result[INDEX[name]] = weight
    return result


def test_it_has_the_shape_that_the_format_promises(head: FaceModel) -> None:
    count = len(head.mean)
    assert head.name == "mien-head"
    assert head.mean.dtype == np.float32
    assert head.expression.shape == (52, count, 3)
    assert head.identity.shape == (len(head.identity_names), count, 3)
    assert len(head.identity_names) <= 20
    assert head.uv.min() >= 0
    assert head.uv.max() <= 1
    assert set(np.unique(head.triangle_region)) == {int(region) for region in Region}
    assert np.array_equal(np.unique(head.triangles), np.arange(count)), "every vertex is used"
    assert len(head.triangles) < 20_000
    for embedding, landmarks in ((head.landmarks, 478), (head.landmarks68, 68)):
        assert embedding.vertices.shape == (landmarks, 3)
        np.testing.assert_allclose(embedding.weights.sum(axis=1), 1, atol=1e-5)


def test_sizes_are_those_of_a_person(head: FaceModel) -> None:
    points = head.landmarks.apply(head.mean)
    np.testing.assert_allclose(head.eye_centres.mean(axis=0), 0, atol=1e-5)
    assert head.eye_centres[0, 0] - head.eye_centres[1, 0] == pytest.approx(6.3, abs=0.1)
    assert head.eye_centres[0, 0] > 0, "left is the subject's left"
    assert 10 < -points[152, 1] < 13, "chin below the eyes"
    assert points[1, 2] > points[152, 2], "the nose points forward"
    assert 13 < np.ptp(head.mean[head.vertex_region == Region.HEAD, 0]) < 17
    assert 1.1 < head.eye_radius < 1.5
    np.testing.assert_allclose(points[473], head.eye_centres[0] + (0, 0, head.eye_radius), atol=1e-3)


def test_faces_look_outwards(head: FaceModel) -> None:
    a, b, c = (head.mean[head.triangles[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    for region, expected in ((Region.FACE, 0.8), (Region.EYE_LEFT, 0.99), (Region.TEETH, 0.55)):
        chosen = head.triangle_region == region
        inside = head.eye_centres[0] if region == Region.EYE_LEFT else np.array([0, -4, -8])
        outward = ((a[chosen] - inside) * normals[chosen]).sum(axis=1) > 0
        assert outward.mean() > expected, region.name


def test_left_and_right_are_mirror_images(head: FaceModel) -> None:
    flip = np.array([-1, 1, 1], np.float32)
    # Vertices where lips meet share a place: a vertex is also known by its region and where the jaw takes it.
    region = np.where(head.vertex_region == Region.EYE_RIGHT, Region.EYE_LEFT, head.vertex_region)[:, None]
    jaw = head.expression[INDEX["jawOpen"]]
    keyed = np.concatenate([head.mean, jaw, region], axis=1)
    other = np.concatenate([head.mean * flip, jaw * flip, region], axis=1)
    distance, partner = cKDTree(keyed).query(other)
    assert distance.max() < 3e-3
    for k, name in enumerate(ARKIT_NAMES):
        mirrored = head.expression[MIRROR[k]][partner] * flip
        np.testing.assert_allclose(head.expression[k], mirrored, atol=5e-3, err_msg=name)


def test_every_expression_moves_something_and_only_the_gaze_turns_eyeballs(head: FaceModel) -> None:
    eyes = np.isin(head.vertex_region, EYES)
    for k, name in enumerate(ARKIT_NAMES):
        size = np.linalg.norm(head.expression[k], axis=1)
        assert size.max() > 0.04, name
        assert size.max() < 6, name
        assert size[eyes].max() == 0, name


def test_sides_stay_on_their_side(head: FaceModel) -> None:
    for name in ("eyeBlinkLeft", "mouthSmileLeft", "browOuterUpLeft", "cheekSquintLeft", "noseSneerLeft"):
        size = np.linalg.norm(head.expression[INDEX[name]], axis=1)
        assert size[head.mean[:, 0] > 0].sum() > 5 * size[head.mean[:, 0] < 0].sum(), name


def test_a_blink_closes_the_lids(head: FaceModel, nobody: PosedFace) -> None:
    closed = head.landmarks.apply(nobody.vertices(weights(eyeBlinkLeft=1, eyeBlinkRight=1)))
    np.testing.assert_allclose(closed[list(UPPER_LID)], closed[list(LOWER_LID)], atol=0.03)
    opened = head.landmarks.apply(nobody.vertices(weights()))
    assert opened[386, 1] - opened[374, 1] > 0.7


@pytest.mark.parametrize("gaze", [(0.0, 0.0), (0.4, 0.0), (0.0, -0.3)])
def test_the_eyeball_stays_behind_closed_lids(
    head: FaceModel, nobody: PosedFace, gaze: tuple[float, float]
) -> None:
    posed = nobody.vertices(weights(eyeBlinkLeft=1), np.array([gaze, gaze], np.float32))
    away = posed - head.eye_centres[0]
    ball = np.flatnonzero((head.vertex_region == Region.EYE_LEFT) & (away[:, 2] > 0.75))
    skin = head.triangles[head.triangle_region == Region.FACE]
    skin = skin[np.linalg.norm(posed[skin].mean(axis=1) - head.eye_centres[0], axis=1) < 3]
    covered = [in_front(posed[skin], posed[v]) for v in ball]
    assert len(ball) > 50
    assert all(covered)


def in_front(triangles: np.ndarray, point: np.ndarray) -> bool:
    """Whether a triangle (T, 3, 3) hides `point` (3,) from a viewer far along +z."""
    a, b, c = (triangles[:, k, :2] for k in range(3))
    p = point[:2]

    def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]

    area = cross(b - a, c - a)
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = cross(b - p, c - p) / area, cross(c - p, a - p) / area
        w = 1 - u - v
        depth = u * triangles[:, 0, 2] + v * triangles[:, 1, 2] + w * triangles[:, 2, 2]
    hit = (u >= -1e-3) & (v >= -1e-3) & (w >= -1e-3)
    return bool((depth[hit] > point[2]).any())


def test_lids_stay_outside_the_eyeball_all_the_way(head: FaceModel, nobody: PosedFace) -> None:
    for weight in np.linspace(0, 1, 11):
        points = head.landmarks.apply(nobody.vertices(weights(eyeBlinkLeft=float(weight))))
        away = np.linalg.norm(points[list(UPPER_LID + LOWER_LID)] - head.eye_centres[0], axis=1)
        assert away.min() > head.eye_radius, f"at {weight:.1f}"


@pytest.mark.parametrize("amount", [0.0, 0.3, 1.0])
def test_lips_seal_at_rest_and_over_an_open_jaw(head: FaceModel, nobody: PosedFace, amount: float) -> None:
    face = np.flatnonzero(head.vertex_region == Region.FACE)
    pairs = face[cKDTree(head.mean[face]).query_pairs(2e-3, output_type="ndarray")]
    assert len(pairs) > 30, "both lips have the same points along their seam"
    posed = nobody.vertices(weights(jawOpen=amount, mouthClose=amount))
    np.testing.assert_allclose(posed[pairs[:, 0]], posed[pairs[:, 1]], atol=0.03)


def test_the_jaw_takes_the_lower_teeth_along(head: FaceModel, nobody: PosedFace) -> None:
    moved = np.linalg.norm(nobody.vertices(weights(jawOpen=1)) - nobody.vertices(weights()), axis=1)
    teeth = head.vertex_region == Region.TEETH
    assert (moved[teeth] < 1e-3).sum() > 0.4 * teeth.sum(), "the upper teeth stay"
    assert (moved[teeth] > 1.0).sum() > 0.4 * teeth.sum(), "the lower teeth go"


def test_gaze_turns_the_eyeballs_about_their_centres(head: FaceModel, nobody: PosedFace) -> None:
    gaze = np.array([[0.3, 0.1], [-0.2, -0.1]], np.float32)
    points = head.landmarks.apply(nobody.vertices(weights(), gaze))
    for landmark, centre, (yaw, pitch) in zip((473, 468), nobody.eye_centres, gaze, strict=True):
        axis = (points[landmark] - centre) / head.eye_radius
        expected = (np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch))
        np.testing.assert_allclose(axis, expected, atol=1e-3)
    np.testing.assert_allclose(gaze_rotation(0, 0), np.eye(3))


def test_the_fast_evaluator_agrees_with_the_readable_one(head: FaceModel) -> None:
    rng = np.random.default_rng(3)
    identity = rng.normal(size=len(head.identity)).astype(np.float32)
    expression = rng.random(52).astype(np.float32)
    gaze = rng.normal(size=(2, 2)).astype(np.float32) * 0.3
    posed = PosedFace(head, identity)
    reference = head.vertices(identity, expression, gaze)
    np.testing.assert_allclose(posed.vertices(expression, gaze), reference, atol=2e-3)
    out = np.empty_like(reference)
    assert posed.vertices(expression, gaze, out) is out
    np.testing.assert_allclose(out, reference, atol=2e-3)


def test_offsets_move_landmarks_where_they_belong(head: FaceModel) -> None:
    offsets = np.zeros((478, 3), np.float32)
    offsets[:, 0] = 0.2
    moved = PosedFace(head, np.zeros(1, np.float32), offsets).neutral - head.mean
    landmarks = head.landmarks.apply(moved)[head.landmarks.trust >= 0.9]
    np.testing.assert_allclose(landmarks[:, 0], 0.2, atol=0.03)
    assert moved[head.vertex_region == Region.TEETH][:, 0] == pytest.approx(0.2, abs=1e-5)
    assert np.abs(moved[head.mean[:, 2] < -14]).max() == 0, "the back of the head stays"


@pytest.mark.parametrize("side", [-2.5, 2.5])
def test_nobody_gapes_or_stares_through_the_lids(head: FaceModel, side: float) -> None:
    for k, name in enumerate(head.identity_names):
        identity = np.zeros(len(head.identity), np.float32)
        identity[k] = side
        posed = PosedFace(head, identity)
        points = head.landmarks.apply(posed.neutral)
        assert np.abs(points[[13, 312, 310]] - points[[14, 317, 318]]).max() < 0.03, name
        away = np.linalg.norm(points[list(UPPER_LID[1:] + LOWER_LID[1:])] - posed.eye_centres[0], axis=1)
        assert away.min() > head.eye_radius - 0.06, name


def test_a_saved_model_comes_back(head: FaceModel, tmp_path: Path) -> None:
    path = tmp_path / "copy.npz"
    save_model(head, path)
    copy = load_model(path)
    assert [p.name for p in tmp_path.iterdir()] == ["copy.npz"]
    assert copy.identity_names == head.identity_names
    np.testing.assert_array_equal(copy.triangles, head.triangles)
    np.testing.assert_allclose(copy.expression, head.expression, atol=1.1e-4)
    np.testing.assert_array_equal(copy.landmarks.vertices, head.landmarks.vertices)
    assert not copy.mean.flags.writeable


def test_it_is_small_loads_quickly_and_is_kept(head: FaceModel) -> None:
    path = Path(face_model.__file__).with_name("mien_head.npz")
    assert path.stat().st_size < 4 * 2**20
    assert load_model("mien-head") is head
    posed = PosedFace(head, np.zeros(1, np.float32))
    expression = np.full(52, 0.5, np.float32)
    loading = _scaled_ms(lambda: face_model._cached.__wrapped__(path), turns=1)
    posing = _scaled_ms(lambda: posed.vertices(expression), turns=10)
    assert loading < 100, "a third of that, as a rule"
    assert posing < 2, "a third of that, as a rule"


def _scaled_ms(work: Callable[[], object], turns: int) -> float:
    """CPU time, as `benchmarks/reference.py` scales it: the least of several runs, between those of the reference, for
    what else runs on the machine only adds to it.
    """
    reference, least_ns = Reference(), math.inf
    for _ in range(5):
        reference.measure()
        for _ in range(turns):
            started = time.thread_time_ns()
            work()
            least_ns = min(least_ns, time.thread_time_ns() - started)
    return least_ns / 1e6 * NOMINAL_MS / min(reference.runs_ms)


def rewritten(head: FaceModel, tmp_path: Path, **changes: np.ndarray | None) -> Path:
    whole, changed = tmp_path / "whole.npz", tmp_path / "changed.npz"
    save_model(head, whole)
    with np.load(whole) as stored:
        arrays = dict(stored)
    for key, value in changes.items():
        if value is None:
            del arrays[key]
        else:
            arrays[key] = value
    np.savez(changed, **arrays)
    return changed


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"mean": None}, "mean is missing"),
        ({"format": np.array(99)}, "format 99"),
        ({"format": np.array("one")}, "format is <U3"),
        ({"format": np.array([1, 1])}, "format is int64"),
        ({"expression_names": np.array("smile")}, "expression_names is <U5"),
        ({"identity_names": np.array("tall")}, "identity_names is <U4"),
        ({"expression_names": np.array(["smile"] * 52)}, "ARKit"),
        ({"triangles": np.full((5, 3), 65000, np.uint16)}, "triangles points outside"),
        ({"eye_centres": np.zeros((2, 2), np.float32)}, "eye_centres"),
        ({"pivot": np.full(3, np.nan, np.float32)}, "not finite"),
        ({"expression_starts": np.zeros(53, np.int32)}, "expression_starts"),
        ({"source": np.array([{"pickled": 1}], object)}, "readable"),
    ],
)
def test_a_damaged_model_is_refused_by_name(
    head: FaceModel, tmp_path: Path, changes: dict[str, np.ndarray | None], complaint: str
) -> None:
    path = rewritten(head, tmp_path, **changes)
    with pytest.raises(PackageError, match=complaint) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(b"not a zip")
    with pytest.raises(PackageError, match=r"model\.npz"):
        load_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mean.npy", b"\x93NUMPY broken")
    with pytest.raises(PackageError, match=r"model\.npz"):
        load_model(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.face import modelfile

    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, mean=np.zeros((200_000, 3), np.float32))
    monkeypatch.setattr(modelfile, "MOST_BYTES", 1000)
    with pytest.raises(PackageError, match="unpacks to"):
        load_model(path)


def test_an_unknown_name_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mien-head"):
        load_model("mien-haed")


def test_a_name_never_opens_a_file(head: FaceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Performances name the model of a face, and whoever made one may have written anything."""
    save_model(head, tmp_path / "private.npz", compress=False)
    monkeypatch.chdir(tmp_path)
    assert load_model(tmp_path / "private.npz").name == head.name
    for name in ("private.npz", "./private.npz", str(tmp_path / "private.npz"), "../x", "", "."):
        with pytest.raises(ConfigError, match="face model"):
            load_model(name)


def test_warming_leaves_no_kernel_to_be_compiled_live() -> None:
    warming.warm()
    kernels = {
        f"{name}.{kernel}": found.signatures
        for name, module in list(sys.modules.items())
        if name.startswith(("mien.face", "mien.render", "mien.voice"))
        and not name.startswith("mien.face.make")
        for kernel, found in vars(module).items()
        if isinstance(found, CPUDispatcher)
    }
    assert len(kernels) > 20
    assert [kernel for kernel, signatures in kernels.items() if not signatures] == []
