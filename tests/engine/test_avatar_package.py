"""Avatar packages: what goes in comes out, and nothing that a stranger puts in does harm."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.avatar.describe import describe
from mien.avatar.package import Avatar, AvatarContent, Consent, load_avatar, save_avatar
from mien.errors import ConsentError, PackageError
from mien.face.camera import Camera
from mien.face.subject import Subject

pytestmark = pytest.mark.unit

CONSENT = Consent("I agree to be animated.", "Ada Lovelace", "self", "2025-01-31")


def made(side: int = 64, **images: np.ndarray[Any, Any]) -> Avatar:
    rng = np.random.default_rng(3)
    subject = Subject(
        "mien-head",
        rng.standard_normal(20).astype(np.float32),
        Camera.guess(side, side),
        offsets=rng.standard_normal((478, 3)).astype(np.float32),
        epoch=4,
    )
    content = AvatarContent(
        "photo",
        "mien-head",
        subject,
        {
            "portrait": rng.integers(0, 255, (side, side, 3), dtype=np.uint8),
            "matte": rng.integers(0, 255, (side, side), dtype=np.uint8),
            "layer": rng.integers(0, 255, (side, side + 2, 4), dtype=np.uint8),
            **images,
        },
        {
            "grid": rng.standard_normal((7, 5, 2)).astype(np.float32),
            "columns": np.asfortranarray(rng.standard_normal((4, 3))),
            "index": np.arange(9, dtype=np.int32),
            "flags": np.array([True, False]),
            "scalar": np.array(2.5),
            "nothing": np.zeros((0, 3), np.float32),
        },
        "Ada",
    )
    return Avatar.new(content, CONSENT)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "ada.avatar"
    save_avatar(made(), path)
    return path


def rewritten(
    path: Path,
    edit: Callable[[dict[str, Any]], Any] = lambda manifest: None,
    **replaced: bytes | None,
) -> Path:
    """Zip the package again with an edited manifest; members named by their stem are replaced or left out."""
    out = path.with_name("edited.avatar")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data: bytes | None = old.read(name)
            if name == "manifest.json":
                document = json.loads(old.read(name))
                edit(document)
                data = json.dumps(document).encode()
            data = replaced.get(Path(name).stem, data)
            if data is not None:
                new.writestr(name, data)
    return out


def test_round_trip(package: Path) -> None:
    before, after = made(), load_avatar(package)
    assert after.consent == CONSENT
    assert after.path == package
    assert (after.content.renderer, after.content.face_model, after.content.title) == (
        "photo",
        "mien-head",
        "Ada",
    )
    for mine, loaded in (
        (before.content.images, after.content.images),
        (before.content.arrays, after.content.arrays),
    ):
        assert set(mine) == set(loaded)
        for name, array in mine.items():
            np.testing.assert_array_equal(loaded[name], array)
            assert loaded[name].dtype == array.dtype
            assert not loaded[name].flags.writeable
    subject = after.content.subject
    assert subject.camera == before.content.subject.camera
    assert subject.epoch == 4
    np.testing.assert_array_equal(subject.identity, before.content.subject.identity)
    np.testing.assert_array_equal(subject.offsets, before.content.subject.offsets)


def test_pictures_in_it_are_pngs_that_anyone_can_open(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        assert archive.read("images/portrait.png").startswith(b"\x89PNG")
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["format"] == "mien-avatar"
    assert manifest["version"] == 1
    assert manifest["consent"]["date"] == "2025-01-31"
    assert {member["name"] for member in manifest["members"]} >= {
        "images/portrait.png",
        "arrays/grid.npy",
        "subject/identity.npy",
    }


def test_equal_content_gives_equal_bytes(package: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.avatar"
    save_avatar(load_avatar(package), again)
    assert again.read_bytes() == package.read_bytes()


def test_description_names_consent_and_content(package: Path) -> None:
    text = describe(load_avatar(package))
    for part in (
        "Ada",
        "Ada Lovelace",
        "2025-01-31",
        "I agree to be animated.",
        "64x64",
        "grid 7x5x2",
        str(package),
    ):
        assert part in text


def test_opens_in_half_a_second(tmp_path: Path) -> None:
    # CPU time of this process, of which the decoding threads take half each: generous for a busy machine.
    noise = np.random.default_rng(1).integers(0, 64, (1024, 1024, 3), dtype=np.uint8)
    path = tmp_path / "large.avatar"
    save_avatar(made(64, **{f"layer{n}": noise[..., n % 3] for n in range(6)}, plate=noise), path)
    started = time.process_time()
    load_avatar(path)
    assert time.process_time() - started < 1.0


# --- saving ------------------------------------------------------------------------------------------------


def test_a_failed_save_leaves_nothing_and_keeps_the_old(package: Path, tmp_path: Path) -> None:
    before = package.read_bytes()
    bad = made(64, broken=np.zeros((4, 4, 2), np.uint8))
    with pytest.raises(PackageError, match="broken"):
        save_avatar(bad, package)
    assert package.read_bytes() == before
    assert list(tmp_path.iterdir()) == [package]


def test_saving_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="cannot be written"):
        save_avatar(made(), tmp_path / "nowhere" / "a.avatar")


def test_objects_are_not_stored(tmp_path: Path) -> None:
    avatar = made()
    content = replace(avatar.content, arrays={"bad": np.array([{}], object)})
    with pytest.raises(PackageError, match="bad"):
        save_avatar(replace(avatar, content=content), tmp_path / "a.avatar")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../up", "a/b", "Upper", "", "ünï", "x" * 65])
def test_odd_names_are_not_stored(tmp_path: Path, name: str) -> None:
    avatar = made(64)
    content = replace(avatar.content, arrays={name: np.zeros(3)})
    with pytest.raises(PackageError, match="cannot hold"):
        save_avatar(replace(avatar, content=content), tmp_path / "a.avatar")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"title": "x" * 201}, "title.*201 characters.*at most 200"),
        ({"face_model": "/home/ada/private.npz"}, "face_model"),
        ({"renderer": "x" * 201}, "renderer"),
    ],
)
def test_what_no_manifest_can_hold_is_not_stored(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    avatar = made()
    with pytest.raises(PackageError, match=named):
        save_avatar(replace(avatar, content=replace(avatar.content, **change)), tmp_path / "a.avatar")
    assert not list(tmp_path.iterdir())


def test_a_consent_that_no_manifest_can_hold_is_not_stored(tmp_path: Path) -> None:
    consent = Consent("I agree.", "Ada" * 100, "self", "2025-01-31")
    with pytest.raises(ConsentError, match="holder"):
        save_avatar(replace(made(), consent=consent), tmp_path / "a.avatar")


# --- refusals --------------------------------------------------------------------------------------------


def refusal(path: Path, kind: type[PackageError] = PackageError) -> str:
    with pytest.raises(kind) as caught:
        load_avatar(path)
    text = str(caught.value)
    assert path.name in text
    return text


def test_missing_file(tmp_path: Path) -> None:
    assert "mien avatar create" in refusal(tmp_path / "none.avatar")


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder.avatar").mkdir()
    assert "cannot be read" in refusal(tmp_path / "folder.avatar")


@pytest.mark.parametrize("data", [b"", b"no zip", b"\x89PNG\r\n\x1a\n" + bytes(90)])
def test_not_a_zip(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "photo.avatar"
    path.write_bytes(data)
    assert "is not an avatar package" in refusal(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_cut_short(package: Path, keep: float) -> None:
    data = package.read_bytes()
    package.write_bytes(data[: int(len(data) * keep)])
    assert "damaged or cut short" in refusal(package)


def test_some_other_zip(tmp_path: Path) -> None:
    path = tmp_path / "other.avatar"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "manifest.json" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "{}")
    assert "not an avatar package" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "[" * 5000)
    assert "unreadable manifest" in refusal(path)


def test_a_newer_version_says_how_to_update(package: Path) -> None:
    text = refusal(rewritten(package, lambda m: m.update(version=2, consent=None, renderer=5)))
    assert "version 2" in text
    assert "pip install --upgrade mien" in text


@pytest.mark.parametrize("version", [0, -1, "1", None, 1.5])
def test_a_version_that_never_was(package: Path, version: object) -> None:
    assert "unknown format version" in refusal(rewritten(package, lambda m: m.update(version=version)))


def test_without_consent(package: Path) -> None:
    for edit in (lambda m: m.pop("consent"), lambda m: m.update(consent=None)):
        text = refusal(rewritten(package, edit), ConsentError)
        assert "--consent self" in text


@pytest.mark.parametrize(
    "change",
    [
        {"statement": ""},
        {"statement": "  \n"},
        {"holder": ""},
        {"date": ""},
        {"date": "yesterday"},
        {"basis": "hearsay"},
        {"statement": 5},
    ],
)
def test_an_empty_consent_record_is_none(package: Path, change: dict[str, Any]) -> None:
    refusal(rewritten(package, lambda m: m["consent"].update(change)), ConsentError)


@pytest.mark.parametrize(
    "name",
    ["../evil.png", "/etc/passwd", "images/../../evil", "C:\\evil", "images\\..\\evil", "a/./../../b"],
)
def test_paths_that_leave(package: Path, name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr(name, b"x")
    assert "leaves the package" in refusal(package)
    assert {p.name for p in tmp_path.iterdir()} == {"ada.avatar"}


def test_symbolic_links(package: Path) -> None:
    link = zipfile.ZipInfo("images/link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr(link, b"/etc/passwd")
    assert "leaves the package" in refusal(package)


def test_the_same_member_twice(package: Path) -> None:
    with zipfile.ZipFile(package, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("images/portrait.png", b"other")
    assert "twice" in refusal(package)


def test_zip_bomb_by_ratio(package: Path) -> None:
    with zipfile.ZipFile(package, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arrays/bomb.npy", bytes(20 << 20))
    assert "zip bomb" in refusal(package)


def test_zip_bomb_by_declared_size(package: Path) -> None:
    """A lying table of contents is believed where it claims too much; the data are not touched."""
    data = bytearray(package.read_bytes())
    at = data.index(b"PK\x01\x02")  # central directory; uncompressed size at offset 24
    data[at + 24 : at + 28] = (300 << 20).to_bytes(4, "little")
    package.write_bytes(data)
    assert "zip bomb" in refusal(package)


def test_more_data_than_declared(package: Path) -> None:
    data = bytearray(package.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    package.write_bytes(data)
    refusal(package)


def with_portrait(package: Path, png: bytes) -> Path:
    def edit(manifest: dict[str, Any]) -> None:
        record = next(m for m in manifest["members"] if m["name"] == "images/portrait.png")
        record.update(size=len(png), sha256=hashlib.sha256(png).hexdigest())

    return rewritten(package, edit, portrait=png)


def test_a_picture_that_claims_to_be_vast(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        png = bytearray(archive.read("images/portrait.png"))
    png[16:24] = (60_000).to_bytes(4, "big") * 2
    assert "megapixels" in refusal(with_portrait(package, bytes(png)))


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def header(side: int) -> bytes:
    return chunk(b"IHDR", side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0]))


@pytest.mark.parametrize(
    "start",
    [
        chunk(b"tEXt", (1).to_bytes(4, "big") * 2 + bytes(5)) + header(3000),  # what looks like a small size
        header(1) + header(3000),
        header(1) + header(60_000),  # more than Pillow allows itself
    ],
)
def test_a_picture_larger_than_it_claims(package: Path, start: bytes) -> None:
    rows = zlib.compress(bytes(3001 * 3000), 9)
    png = b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert "images/portrait.png is damaged" in refusal(with_portrait(package, png))


def test_a_listed_member_that_is_missing(package: Path) -> None:
    assert "lacks images/portrait.png" in refusal(rewritten(package, portrait=None))
    assert "lacks subject/identity.npy" in refusal(
        rewritten(
            package,
            lambda m: m.update(members=[r for r in m["members"] if r["name"] != "subject/identity.npy"]),
        )
    )


def test_a_changed_member(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        data = bytearray(archive.read("arrays/grid.npy"))
    data[-1] ^= 1
    assert "checksum" in refusal(rewritten(package, grid=bytes(data)))


def npy(descr: str, shape: str, body: bytes, order: str = "False") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


@pytest.mark.parametrize(
    "data",
    [
        npy("'|O'", "(1,)", b"cposix\nsystem\n(S'true'\ntR."),
        npy("'<f4'", "(1000000000, 1000000000)", bytes(16)),
        npy("'<f4'", "(4,)", bytes(15)),
        npy("'<f1'", "(4,)", bytes(4)),
        npy("[('a', '<f4')]", "(4,)", bytes(16)),
        npy("'<f4'", "(4, -1)", bytes(16)),
        npy("'<f4'", "__import__('os')", bytes(16)),
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x03\x00" + bytes(40),
        b"",
    ],
)
def test_arrays_that_are_none(package: Path, data: bytes) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        record = next(m for m in manifest["members"] if m["name"] == "arrays/grid.npy")
        record.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())

    assert "arrays/grid.npy" in refusal(rewritten(package, edit, grid=data))


def test_a_subject_of_the_wrong_shape(package: Path) -> None:
    data = npy("'<f4'", "(2,)", bytes(8))

    def edit(manifest: dict[str, Any]) -> None:
        record = next(m for m in manifest["members"] if m["name"] == "subject/gains.npy")
        record.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())

    assert "subject/gains.npy" in refusal(rewritten(package, edit, gains=data))


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m["subject"]["camera"].update(focal=0),
        lambda m: m["subject"]["camera"].update(focal=float("nan")),
        lambda m: m["subject"]["camera"].update(width=10**9),
        lambda m: m.pop("renderer"),
        lambda m: m["members"][0].update(name="../../x.png"),
        lambda m: m.update(face_model="/home/ada/private.npz"),
        lambda m: m.update(face_model="private.npz"),
        lambda m: m["subject"].update(model="../private"),
        lambda m: m.update(members=m["members"] * 100),
    ],
)
def test_manifests_that_make_no_sense(package: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    assert "manifest" in refusal(rewritten(package, edit))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.integers(1, 4))
def test_any_damage_is_a_package_error(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: int
) -> None:
    """Whatever bytes are changed, cut or repeated: it loads, or says what is wrong."""
    folder = tmp_path_factory.getbasetemp()
    whole = folder / "whole.avatar"
    if not whole.exists():
        save_avatar(made(16), whole)
    data, dice = bytearray(whole.read_bytes()), random.Random(seed)  # noqa: S311
    for _ in range(cuts):
        at = dice.randrange(len(data))
        match dice.randrange(3):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                del data[at : at + dice.randrange(1, 40)]
            case 2:
                data[at:at] = data[at : at + dice.randrange(1, 40)]
    path = folder / "damaged.avatar"
    path.write_bytes(data)
    with contextlib.suppress(PackageError):
        load_avatar(path)
