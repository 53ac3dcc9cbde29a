"""ICT-FaceKit as a face model: the conversion on a tiny stand-in, and the real one where it is present."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from mien.errors import ConfigError, PackageError
from mien.face.assets import find
from mien.face.importers import ict_objects
from mien.face.importers.importing import import_model
from mien.face.model import PosedFace, Region, eyeball_uv, load_model, save_model
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


def test_without_it_the_mend_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIEN_ASSETS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"MIEN_ASSETS.*mien assets get ict-facekit"):
        load_model("ict-facekit")


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_ASSETS", str(tmp_path))
    with pytest.raises(ConfigError, match="not in"):
        find("ict-facekit")
    write_stand_in(tmp_path)
    assert find("ict-facekit") == (tmp_path / "ict_facekit.npz").resolve()


def test_an_imported_one_comes_first(tmp_path: Path) -> None:
    model = load_model("ict-facekit", write_stand_in(tmp_path))
    save_model(model, tmp_path / "ict-facekit.npz")
    assert find("ict-facekit", tmp_path).name == "ict-facekit.npz"


def test_the_landmarks_must_lie_beside_it(tmp_path: Path) -> None:
    (write_stand_in(tmp_path) / "ict_to_mediapipe.npz").unlink()
    with pytest.raises(ConfigError, match=r"ict_to_mediapipe\.npz"):
        load_model("ict-facekit", tmp_path)


def test_something_else_is_refused(tmp_path: Path) -> None:
    write_stand_in(tmp_path, region_names=np.array(["nose"] * len(REGIONS)))
    with pytest.raises(PackageError, match=r"ict_facekit\.npz"):
        load_model("ict-facekit", tmp_path)


def test_it_is_told_by_what_it_holds(tmp_path: Path) -> None:
    """Whatever a file is called: ICT's layout under another name, and one of ours under ICT's."""
    layout = write_stand_in(tmp_path) / "ict_facekit.npz"
    mine = layout.rename(tmp_path / "mine.npz")
    assert load_model(mine).name == "ict-facekit"
    head = load_model()
    save_model(head, layout)
    assert load_model(layout).name == head.name
    with pytest.raises(ConfigError, match="not in"):
        find("ict-facekit", tmp_path)


@pytest.mark.parametrize("own", [True, False])
def test_no_more_modes_are_kept_than_asked_for(own: bool, tmp_path: Path) -> None:
    file = write_stand_in(tmp_path) / "ict_facekit.npz"
    if own:
        save_model(load_model(), file)
    model, report = import_model(file, modes=3)
    assert (len(model.identity), len(model.identity_names), report.identity_modes) == (3, 3, 3)


PARTS = dict.fromkeys(
    ("face", "head_neck", "mouth_socket", "gums_tongue", "teeth", "eyeball_l", "eyeball_r"), (6, 2)
)


def write_objects(folder: Path) -> Path:
    """The folder FaceXModel with meshes of a few polygons, one identity and all expressions."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    neutral = rng.normal(size=(42, 3)).round(3)
    for name, side in (("eyeball_l", 3.2), ("eyeball_r", -3.2)):
        start = 6 * list(PARTS).index(name)
        neutral[start : start + 6] = 1.5 * BALL + (side, 2, 1)

    def write(name: str, points: np.ndarray) -> None:
        lines = [
            "# a comment",
            *(f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in points),
            "vt 0.25 0.5",
            "vt 1.75 0.5",
        ]
        for start in range(0, 42, 6):
            lines += ["usemtl m", f"f {start + 1}/1 {start + 2}/1 {start + 3}/2 {start + 4}/2"]
            lines += [f"f {start + 4}/1 {start + 5}/1 {start + 6}/1"]
        (folder / name).write_text("\n".join(lines))

    write("generic_neutral_mesh.obj", neutral)
    write("identity000.obj", neutral + np.array([0.5, 0, 0]))
    for k, name in enumerate(SHAPES):
        write(f"{name}.obj", neutral + np.array([0, k / 64, 0]))
    listed = {"expressions": SHAPES, "idx_to_landmark_verts": [3] * 68}
    (folder / "vertex_indices.json").write_text(json.dumps(listed))
    return folder


def test_its_objects_become_the_same_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ict_objects, "PARTS", PARTS)
    write_objects(tmp_path / "FaceXModel")
    assert ict_objects.recognises(tmp_path)
    arrays = ict_objects.read_arrays(tmp_path)
    assert arrays["neutral"].shape == (42, 3)
    np.testing.assert_allclose(arrays["identity"], np.broadcast_to((0.5, 0, 0), (1, 42, 3)), atol=1e-6)
    np.testing.assert_allclose(
        arrays["expr"][SHAPES.index("jawOpen"), :, 1], SHAPES.index("jawOpen") / 64, atol=1e-4
    )
    assert arrays["tri"][:3].tolist() == [[0, 1, 2], [0, 2, 3], [3, 4, 5]], "polygons are cut into triangles"
    assert arrays["region_tri"].tolist() == [0, 3, 6, 9, 12, 15, 18, 21]
    np.testing.assert_allclose(arrays["uv_v"][2], (1.75, 0.5))


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("generic_neutral_mesh.obj", "v 1 2 3", "1 vertices"),
        ("jawOpen.obj", "v 1 2 3", r"jawOpen\.obj: 1 vertices"),
        ("jawOpen.obj", None, r"jawOpen\.obj: cannot be read"),
        ("jawOpen.obj", "v 1 2\nv 3", r"jawOpen\.obj"),
        ("identity000.obj", None, "no identity000"),
        ("vertex_indices.json", "{}", r"vertex_indices\.json"),
        ("vertex_indices.json", '{"expressions": ["../x"], "idx_to_landmark_verts": [1]}', "68 landmarks"),
    ],
)
def test_damaged_objects_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: str | None, complaint: str
) -> None:
    monkeypatch.setattr(ict_objects, "PARTS", PARTS)
    folder = write_objects(tmp_path / "FaceXModel")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    with pytest.raises(PackageError, match=complaint):
        import_model(folder)


def test_a_folder_without_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="FaceXModel"):
        import_model(tmp_path)


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


@pytest.mark.data
@pytest.mark.skipif(_real_assets() is None, reason="ICT-FaceKit is not in the assets folder")
def test_the_real_one_imported_is_the_same(tmp_path: Path) -> None:
    assets = _real_assets()
    assert assets is not None
    model, report = import_model(assets / "ict_facekit.npz")
    save_model(model, tmp_path / "ict-facekit.npz", compress=False)
    again = load_model("ict-facekit", tmp_path)
    assert (report.identity_modes, report.still, report.mapping) == (100, ("tongueOut",), None)
    np.testing.assert_allclose(
        again.landmarks.apply(again.mean), model.landmarks.apply(model.mean), atol=1e-5
    )
    np.testing.assert_allclose(again.expression, model.expression, atol=2e-3)
