"""FLAME and Basel models as published become models of ours; damaged files are refused by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.published_models import Somebody, write_basel_2009, write_basel_2019, write_flame
from mien.errors import InputError, MissingExtraError, PackageError
from mien.face.importers import basel, registration
from mien.face.importers.importing import Report, import_model
from mien.face.importers.skinning import Jaw
from mien.face.importers.surface import Surface
from mien.face.model import EYES, FaceModel, PosedFace, Region, load_model, save_model
from mien.face.rig import ARKIT_NAMES, INDEX

pytestmark = pytest.mark.unit

HAS_HDF = importlib.util.find_spec("h5py") is not None
needs_hdf = pytest.mark.skipif(not HAS_HDF, reason="h5py is not installed")


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Any:
    """Fewer rounds of the same: what is tested here does not hang on the last tenth of a millimetre."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registration, "_ROUNDS", 1)
        yield


class Imported:
    def __init__(self, folder: Path, name: str, write: Callable[[Path], Somebody]) -> None:
        self.path = folder / name
        self.somebody = write(self.path)
        self.model: FaceModel
        self.report: Report
        self.model, self.report = import_model(self.path)
        own = np.column_stack([self.somebody.mean, np.ones(len(self.somebody.mean))])
        self.moved = np.linalg.lstsq(own, self.model.mean[: len(own)], rcond=None)[0]

    def there(self, points: np.ndarray) -> np.ndarray:
        """From the published file's frame (cm) to the model's."""
        return np.asarray(np.column_stack([points, np.ones(len(points))]) @ self.moved)

    def landmark_error(self) -> float:
        """Mean over the firm landmarks, in percent of the eye distance."""
        truth = self.there(self.somebody.landmarks)
        found = self.model.landmarks.apply(self.model.mean)[:468]
        firm = self.somebody.head.landmarks.trust[:468] >= 0.9
        eyes = np.linalg.norm(truth[33] - truth[263])
        return float(100 * np.linalg.norm(found - truth, axis=1)[firm].mean() / eyes)

    def shape_error(self, name: str) -> float:
        """How much of a shape's motion of the skin of the face is missed."""
        skin = self.model.vertex_region[: self.somebody.count] == Region.FACE
        truth = self.somebody.shapes[INDEX[name], : self.somebody.count][skin]
        shape = self.model.expression[INDEX[name], : self.somebody.count][skin]
        return float(np.linalg.norm(shape - truth) / np.linalg.norm(truth))


@pytest.fixture(scope="module")
def flame(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    return Imported(tmp_path_factory.mktemp("flame"), "generic_model.pkl", write_flame)


@pytest.fixture(scope="module")
def basel_2009(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    return Imported(tmp_path_factory.mktemp("basel"), "01_MorphableModel.mat", write_basel_2009)


@pytest.mark.parametrize("which", ["flame", "basel_2009"])
def test_it_is_whole(which: str, request: pytest.FixtureRequest) -> None:
    imported: Imported = request.getfixturevalue(which)
    model = imported.model
    regions = set(np.unique(model.triangle_region))
    assert regions == {int(region) for region in Region}
    assert model.triangles.max() < len(model.mean)
    np.testing.assert_allclose(model.eye_centres.mean(axis=0), 0, atol=1e-4)
    for embedding in (model.landmarks, model.landmarks68):
        np.testing.assert_allclose(embedding.weights.sum(axis=1), 1, atol=1e-5)
    points = model.landmarks.apply(model.mean)
    for iris, centre in ((473, model.eye_centres[0]), (468, model.eye_centres[1])):
        assert np.linalg.norm(points[iris] - centre - (0, 0, model.eye_radius)) < 0.3
    assert not model.expression[:, np.isin(model.vertex_region, EYES)].any()
    assert imported.landmark_error() < 2.5
    assert imported.report.residual_percent is not None
    assert imported.report.residual_percent[0] < 0.3


def test_flame_turns_its_jaw_and_says_what_it_cannot(flame: Imported) -> None:
    mapping = flame.model.mapping
    assert mapping is not None
    assert mapping.names[-3:] == ("jaw_x", "jaw_y", "jaw_z")
    assert flame.report.name == "flame2020"
    assert mapping.own(np.eye(52, dtype=np.float32)[INDEX["jawOpen"]])[100] > 0.15, "radians"
    for name in ("jawOpen", "mouthSmileLeft", "mouthPucker"):
        assert flame.shape_error(name) < 0.25, name
    error = dict(zip(ARKIT_NAMES, mapping.error, strict=True))
    assert error["eyeBlinkLeft"] > 2 * error["mouthSmileLeft"]
    told = "\n".join(flame.report.lines())
    assert "eyeBlinkLeft" in told
    assert "103 expression coefficients" in told
    off = float(told.partition("a shape alone is off by ")[2].partition(" ")[0])
    assert 0 < off < 0.6
    there = flame.there(flame.somebody.eye_centres)
    np.testing.assert_allclose(flame.model.eye_centres, there, atol=0.01)


def test_the_mapping_goes_both_ways(flame: Imported) -> None:
    mapping = flame.model.mapping
    assert mapping is not None
    smile = np.zeros(52, np.float32)
    smile[[INDEX["mouthSmileLeft"], INDEX["browInnerUp"]]] = (0.8, 0.5)
    back = mapping.arkit(mapping.own(smile))
    np.testing.assert_allclose(back, smile, atol=0.25)


def test_basel_without_expressions_gets_ours(basel_2009: Imported) -> None:
    assert basel_2009.model.mapping is None
    for name in ("jawOpen", "mouthSmileLeft", "eyeBlinkLeft", "browInnerUp"):
        assert basel_2009.shape_error(name) < 0.15, name


def test_basel_has_colours(basel_2009: Imported) -> None:
    model = basel_2009.model
    assert model.albedo_mean is not None
    assert model.albedo is not None
    assert model.albedo_mean[0] == pytest.approx(0.5)
    assert model.albedo[0, 0] == pytest.approx(0.1)
    assert model.albedo_mean.shape == model.mean.shape


def test_sizes_are_in_centimetres(basel_2009: Imported, flame: Imported) -> None:
    for imported in (basel_2009, flame):
        own, skin = imported.somebody, slice(0, imported.somebody.count)
        np.testing.assert_allclose(
            np.ptp(imported.model.mean[skin], axis=0), np.ptp(own.mean[skin], axis=0), rtol=0.1
        )
        np.testing.assert_allclose(
            np.linalg.norm(imported.model.identity[0, skin], axis=1),
            np.linalg.norm(own.identity[0, skin], axis=1),
            atol=1e-3,
        )


def test_an_imported_model_is_kept_and_posed(flame: Imported, tmp_path: Path) -> None:
    save_model(flame.model, tmp_path / "flame2020.npz", compress=False)
    again = load_model("flame2020", tmp_path)
    assert again.mapping is not None
    assert flame.model.mapping is not None
    assert again.mapping.taken == flame.model.mapping.taken
    np.testing.assert_allclose(again.mapping.to_own, flame.model.mapping.to_own)
    posed = PosedFace(again, np.zeros(1, np.float32))
    blink = np.zeros(52, np.float32)
    blink[[INDEX["eyeBlinkLeft"], INDEX["jawOpen"]]] = 1
    assert np.isfinite(posed.vertices(blink, np.full((2, 2), 0.2, np.float32))).all()


def test_colours_come_back(basel_2009: Imported, tmp_path: Path) -> None:
    save_model(basel_2009.model, tmp_path / "bfm2009.npz")
    again = load_model("bfm2009", tmp_path)
    assert again.albedo is not None
    assert again.albedo.shape == (3, len(again.mean), 3)


@needs_hdf
def test_basel_of_2019(tmp_path: Path) -> None:
    imported = Imported(tmp_path, "model2019_bfm.h5", write_basel_2019)
    assert imported.report.name == "bfm2019"
    assert imported.landmark_error() < 2.5
    assert imported.model.mapping is not None
    assert len(imported.model.mapping.names) == 60
    assert imported.shape_error("mouthSmileLeft") < 0.2


@needs_hdf
@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"shape/model/pcaBasis": None}, "shape/model/pcaBasis is missing"),
        ({"shape/representer/cells": np.full((3, 5), 99999)}, "cells points outside"),
        ({"metadata/landmarks/json": "["}, "metadata/landmarks/json"),
        ({"color/model/mean": np.zeros(6), "color/model/pcaBasis": np.zeros((6, 2))}, "differ"),
    ],
)
def test_a_wrong_basel_of_2017_is_refused(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    path = tmp_path / "model2017-1_bfm_nomouth.h5"
    write_basel_2019(path, **changes)
    with pytest.raises(PackageError, match=complaint) as caught:
        import_model(path)
    assert str(path) in str(caught.value)


@needs_hdf
def test_what_a_small_file_says_to_be_large_is_not_unpacked(tmp_path: Path) -> None:
    h5py = importlib.import_module("h5py")
    path = tmp_path / "model2019_bfm.h5"
    with h5py.File(path, "w") as file:
        for name in ("shape/model/mean", "shape/model/pcaBasis"):
            file.create_dataset(name, (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))
    with pytest.raises(PackageError, match="no face model is that large"):
        import_model(path)


def test_without_h5py_the_install_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    path = tmp_path / "model2019_bfm.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(MissingExtraError, match="pip install h5py"):
        import_model(path)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"shapePC": np.zeros((5, 20))}, "shapePC is"),
        ({"tl": np.zeros((4, 3))}, "tl points outside"),
        ({"shapeMU": np.full((30, 1), np.nan)}, "not finite"),
    ],
)
def test_a_wrong_basel_of_2009_is_refused(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    path = tmp_path / "01_MorphableModel.mat"
    write_basel_2009(path, **changes)
    with pytest.raises(PackageError, match=complaint) as caught:
        import_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_truncated_basel_of_2009_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "01_MorphableModel.mat"
    write_basel_2009(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(PackageError, match=r"01_MorphableModel\.mat"):
        import_model(path)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"v_template": np.zeros((7, 2))}, "v_template is"),
        ({"f": np.full((9, 3), 10**6, np.uint32)}, "f points outside"),
        ({"weights": np.zeros((3, 5))}, "weights is"),
        ({"kintree_table": np.zeros((2, 5), np.int64)}, "kintree_table"),
        ({"shapedirs": np.zeros((8038, 3, 10))}, "shapedirs"),
    ],
)
def test_a_wrong_flame_is_refused(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    path = tmp_path / "flame2023.npz"
    write_flame(path, **changes)
    with pytest.raises(PackageError, match=complaint) as caught:
        import_model(path)
    assert str(path) in str(caught.value)


def test_what_is_no_face_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(300, 3)) * 4e4
    path = tmp_path / "01_MorphableModel.mat"
    write_basel_2009(
        path, shapeMU=cloud.reshape(-1, 1), shapePC=np.zeros((900, 20)), texMU=np.zeros((900, 1)),
        texPC=np.zeros((900, 3)), tl=rng.integers(1, 301, (500, 3)),
    )  # fmt: skip
    with pytest.raises(PackageError, match="no face"):
        import_model(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "face.obj").write_text("v 0 0 0")
    with pytest.raises(InputError, match="can import"):
        import_model(tmp_path / "face.obj")
    with pytest.raises(InputError, match="no file"):
        import_model(tmp_path / "nothing.pkl")
    (tmp_path / "face.npz").write_bytes(b"no zip")
    with pytest.raises(PackageError, match=r"face\.npz"):
        import_model(tmp_path / "face.npz")


def test_a_jaw_turns_about_its_joint() -> None:
    mean = np.array([[0, 0, 0], [0, -2, 0], [0, 0, 5]], np.float32)
    still = np.zeros((9, 3, 3), np.float32)
    jaw = Jaw(mean, np.zeros(3, np.float32), np.array([0, 1, 0.5], np.float32), still)
    moved = jaw.moved(np.array([np.pi / 2, 0, 0], np.float32))
    np.testing.assert_allclose(moved, [[0, 0, 0], [0, 2, -2], [0, -2.5, -2.5]], atol=1e-5)
    still[5, 0] = (1, 0, 0)
    assert jaw.moved(np.array([0.1, 0, 0], np.float32))[0, 0] == pytest.approx(-np.sin(0.1), abs=1e-6)


def test_the_nearest_point_of_a_surface_faces_the_same_way() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, -0.1], [1, 0, -0.1], [0, 1, -0.1]], np.float64)
    sheet = Surface(square, np.array([[0, 1, 2], [3, 5, 4]]))
    near = sheet.nearest(
        np.array([[0.2, 0.2, 0.05], [0.2, 0.2, 0.05]]), np.array([[0, 0, 1.0], [0, 0, -1.0]])
    )
    np.testing.assert_allclose(near.points, [[0.2, 0.2, 0], [0.2, 0.2, -0.1]])
    outside = sheet.nearest(np.array([[2.0, -1, 0], [0.8, 0.8, 0]]), np.array([[0, 0, 1.0]] * 2))
    np.testing.assert_allclose(outside.points, [[1, 0, 0], [0.5, 0.5, 0]], atol=1e-12)


def test_hdf_is_told_from_matlab(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "b").write_bytes(b"MATLAB 7.3".ljust(512) + b"\x89HDF\r\n\x1a\n")
    (tmp_path / "c").write_bytes(b"MATLAB 5.0".ljust(600))
    assert [basel.is_hdf(tmp_path / name) for name in "abc"] == [True, True, False]
