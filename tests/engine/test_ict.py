"""ICT-FaceKit as a face model: the conversion on a tiny stand-in, and the real one where it is present."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mien.errors import ConfigError, PackageError
from mien.face.ict import eyeball_uv, find
from mien.face.model import PosedFace, Region, load_model
from mien.face.rig import ARKIT_NAMES, INDEX

pytestmark = pytest.mark.unit

REGIONS = (
    "face",
    "head_neck",
    "mouth_socket",
    "eye_socket_l",
    "eye_socket_r",
    "gums_tongue",
    "teeth",
    "eyeball_l",
    "eyeball_r",
    "lash_l",
)
SHAPES = tuple(
    part
    for name in ARKIT_NAMES
    if name != "tongueOut"
    for part in (
        (f"{name}_L", f"{name}_R")
        if name in {"browInnerUp", "cheekPuff"}
        else (
            name.replace("Left", "_L").replace("Right", "_R")
            if not name.startswith(("jaw", "mouthLeft", "mouthRight"))
            else name,
        )
    )
)
BALL = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-0.6, 0.8, 0], [0, -0.6, 0.8], [0.8, 0, 0.6]])


def write_stand_in(folder: Path, **changes: np.ndarray) -> Path:
    """A face of a few triangles per region, eyeballs of radius 1.5 at x = +3.2 and -3.2, y = 2, z = 1."""
    rng = np.random.default_rng(0)
    points, triangles, by_vertex, by_triangle = [], [], [0], [0]
    for name in REGIONS:
        if name.startswith("eyeball"):
            own = 1.5 * BALL + (3.2 if name.endswith("l") else -3.2, 2, 1)
        else:
            own = rng.normal(size=(6, 3)) * (5, 8, 3)
        start = by_vertex[-1]
        points.append(own)
        triangles.append(np.array([[0, 1, 2], [3, 4, 5]]) + start)
        by_vertex.append(start + 6)
        by_triangle.append(by_triangle[-1] + 2)
    count = by_vertex[-1]
    expression = np.zeros((len(SHAPES), count, 3), np.float16)
    for k in range(len(SHAPES)):
        expression[k, :, 1] = (k + 1) / 64
    arrays = {
        "neutral": np.concatenate(points).astype(np.float32),
        "identity": np.zeros((4, count, 3), np.float16),
        "expr": expression,
        "expr_names": np.array(SHAPES),
        "tri": np.concatenate(triangles).astype(np.uint16),
        "uv_v": rng.random((count, 2)).astype(np.float32) * 6,
        "region_names": np.array(REGIONS),
        "region_vert": np.array(by_vertex, np.int32),
        "region_tri": np.array(by_triangle, np.int32),
        "lmk68": np.zeros(68, np.int32),
    }
    np.savez(folder / "ict_facekit.npz", **(arrays | changes))
    embedding = {
        "tv": np.tile([0, 1, 2], (478, 1)),
        "bc": np.tile([0.5, 0.25, 0.25], (478, 1)),
        "wt": np.full(478, 2.0),
    }
    np.savez(folder / "ict_to_mediapipe.npz", **embedding)
    return folder


def test_it_becomes_one_of_ours(tmp_path: Path) -> None:
    model = load_model("ict-facekit", write_stand_in(tmp_path))
    assert model.name == "ict-facekit"
    np.testing.assert_allclose(model.eye_centres, [[3.2, 0, 0], [-3.2, 0, 0]], atol=1e-4)
    assert model.eye_radius == pytest.approx(1.5, abs=1e-4)
    assert len(model.mean) == 6 * 7, "eye sockets and lashes are left out"
    assert Region.TEETH in model.triangle_region
    assert model.triangles.max() < len(model.mean)
    assert model.landmarks.trust.max() == 1
    np.testing.assert_allclose(model.landmarks.weights.sum(axis=1), 1)


def test_its_53_shapes_become_the_52(tmp_path: Path) -> None:
    model = load_model("ict-facekit", write_stand_in(tmp_path))
    skin = np.flatnonzero(model.vertex_region == Region.FACE)[0]

    def lift(*shapes: str) -> float:
        return sum((SHAPES.index(shape) + 1) / 64 for shape in shapes)

    for name, shapes in (
        ("jawOpen", ("jawOpen",)),
        ("eyeBlinkLeft", ("eyeBlink_L",)),
        ("mouthLeft", ("mouthLeft",)),
        ("browInnerUp", ("browInnerUp_L", "browInnerUp_R")),
        ("cheekPuff", ("cheekPuff_L", "cheekPuff_R")),
    ):
        assert model.expression[INDEX[name], skin, 1] == pytest.approx(lift(*shapes), abs=1e-3), name
    assert not model.expression[INDEX["tongueOut"]].any()
    eyes = np.isin(model.vertex_region, (Region.EYE_LEFT, Region.EYE_RIGHT))
    assert not model.expression[:, eyes].any(), "only the gaze turns eyeballs"


def test_eyeball_uv_is_measured_from_the_iris() -> None:
    uv = eyeball_uv(np.array([[0, 0, 1.2], [1.2, 0, 0], [0, 1.2, 0]], np.float32))
    np.testing.assert_allclose(uv, [[0.5, 0.5], [1, 0.5], [0.5, 0]], atol=1e-6)


def test_no_folder_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIEN_ASSETS", raising=False)
    with pytest.raises(ConfigError, match="MIEN_ASSETS"):
        load_model("ict-facekit")


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_ASSETS", str(tmp_path))
    with pytest.raises(ConfigError, match=r"ict_facekit\.npz does not exist"):
        find()
    write_stand_in(tmp_path)
    assert find() == (tmp_path / "ict_facekit.npz").resolve()


def test_the_landmarks_must_lie_beside_it(tmp_path: Path) -> None:
    (write_stand_in(tmp_path) / "ict_to_mediapipe.npz").unlink()
    with pytest.raises(ConfigError, match=r"ict_to_mediapipe\.npz"):
        load_model("ict-facekit", tmp_path)


def test_something_else_is_refused(tmp_path: Path) -> None:
    write_stand_in(tmp_path, region_names=np.array(["nose"] * len(REGIONS)))
    with pytest.raises(PackageError, match=r"ict_facekit\.npz"):
        load_model("ict-facekit", tmp_path)


def _real_assets() -> Path | None:
    for folder in (os.environ.get("MIEN_ASSETS"), Path(__file__).parents[3] / "shared" / "assets"):
        if folder and (Path(folder) / "ict_facekit.npz").is_file():
            return Path(folder)
    return None


@pytest.mark.data
@pytest.mark.skipif(_real_assets() is None, reason="ICT-FaceKit is not in the assets folder")
def test_the_real_one() -> None:
    model = load_model("ict-facekit", _real_assets())
    assert len(model.mean) > 20_000
    points = model.landmarks.apply(model.mean)
    assert points[263, 0] > 0 > points[33, 0]
    posed = PosedFace(model, np.zeros(len(model.identity), np.float32))
    blink = np.zeros(52, np.float32)
    blink[INDEX["eyeBlinkLeft"]] = 1
    closed = model.landmarks.apply(posed.vertices(blink))
    assert closed[386, 1] - closed[374, 1] < 0.3 < points[386, 1] - points[374, 1]
    tip = model.landmarks.apply(
        posed.vertices(np.zeros(52, np.float32), np.array([[0.3, 0], [0, 0]], np.float32))
    )[473]
    assert tip[0] - points[473, 0] > 0.3
