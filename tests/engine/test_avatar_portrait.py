"""Photos as they come."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from mien.avatar import portrait
from mien.avatar.portrait import Portrait, read_background, read_portrait
from mien.errors import MediaError

pytestmark = pytest.mark.unit

ORIENTATION = 0x0112


def scene(width: int = 300, height: int = 400) -> Image.Image:
    """Smooth, coloured, different in all four corners."""
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    pixels = np.stack([255 * u / width, 255 * v / height, 128 + 100 * np.sin(u / 40)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(data: bytes) -> tuple[Portrait, list[str]]:
    notices: list[str] = []
    return read_portrait(data, "face.png", notices.append), notices


def close(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], tolerance: float = 3) -> bool:
    return a.shape == b.shape and bool(np.abs(a.astype(int) - b).mean() < tolerance)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM"])
def test_plain_photos(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "face"
    path.write_bytes(encoded(scene(), kind))
    notices: list[str] = []
    found = read_portrait(path, notice=notices.append)
    assert found.pixels.dtype == np.uint8
    assert found.alpha is None
    assert close(found.pixels, np.asarray(scene()))
    assert not notices


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_90),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_exif_rotation(kind: str, orientation: int, stored: Image.Transpose) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    found, notices = read(encoded(scene().transpose(stored), kind, exif=exif))
    assert close(found.pixels, np.asarray(scene()))
    assert len(notices) == 1
    assert "upright" in notices[0]


def test_large_photos_are_reduced_and_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portrait, "MAX_SIDE", 256)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = encoded(scene(1200, 900).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    found, notices = read(data)
    assert close(found.pixels, np.asarray(scene(1200, 900).resize((256, 192), Image.Resampling.LANCZOS)))
    assert any("900x1200 px; it was reduced to 256x192" in text for text in notices)


def test_greyscale() -> None:
    found, notices = read(encoded(scene().convert("L")))
    assert found.pixels.shape == (400, 300, 3)
    assert close(found.pixels[..., 0], np.asarray(scene().convert("L")))
    assert any("greyscale" in text for text in notices)


def test_one_bit() -> None:
    found, _ = read(encoded(scene().convert("1")))
    assert set(np.unique(found.pixels)) == {0, 255}


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits(kind: str) -> None:
    deep = np.asarray(scene().convert("L")).astype(np.uint16) * 257
    found, _ = read(encoded(Image.fromarray(deep), kind))
    assert close(found.pixels[..., 1], np.asarray(scene().convert("L")), 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_comes_apart(mode: str) -> None:
    image = scene().convert("RGBA")
    matte = Image.linear_gradient("L").resize(image.size)
    image.putalpha(matte)
    found, notices = read(encoded(image.convert(mode)))
    assert found.alpha is not None
    np.testing.assert_array_equal(found.alpha, np.asarray(matte))
    assert found.pixels.shape == (400, 300, 3)
    assert any("transparent" in text for text in notices)


def test_an_opaque_alpha_channel_is_none() -> None:
    found, notices = read(encoded(scene().convert("RGBA")))
    assert found.alpha is None
    assert not notices


def test_palette_with_and_without_transparency() -> None:
    few = scene().quantize(64)
    assert close(read(encoded(few))[0].pixels, np.asarray(few.convert("RGB")))
    found, _ = read(encoded(few, transparency=few.getpixel((5, 5))))
    assert found.alpha is not None
    assert found.alpha[5, 5] == 0
    assert found.alpha.max() == 255


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    found, _ = read(encoded(scene().convert("CMYK"), kind))
    assert close(found.pixels, np.asarray(scene()), 5)


def test_animated_takes_the_first_picture() -> None:
    first = scene().quantize(64)
    data = encoded(first, "GIF", save_all=True, append_images=[first.rotate(180)])
    found, notices = read(data)
    assert close(found.pixels, np.asarray(first.convert("RGB")))
    assert any("animated" in text for text in notices)


def test_colour_profiles_are_honoured_and_broken_ones_ignored() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for icc in (profile, b"broken", profile[:200]):
        found, _ = read(encoded(scene(), icc_profile=icc))
        assert close(found.pixels, np.asarray(scene()))


def test_tiny_is_taken_with_a_warning() -> None:
    found, notices = read(encoded(scene(64, 64)))
    assert found.pixels.shape == (64, 64, 3)
    assert any("too small to look good" in text for text in notices)


@pytest.mark.slow
def test_forty_megapixels() -> None:
    found, notices = read(encoded(scene(7400, 5400), "JPEG", quality=60))
    assert max(found.pixels.shape) == portrait.MAX_SIDE
    assert len(notices) == 1


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"hello, world", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (encoded(scene(), "JPEG")[:2000], "cut short"),
        (encoded(scene(), "PNG")[:900], "cut short"),
        (encoded(scene(), "WEBP")[:900], "image|cut short"),
        (encoded(scene(20, 20)), "too small to show anything"),
    ],
)
def test_refused(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "face.jpg"
    path.write_bytes(data)
    with pytest.raises(MediaError, match=says) as caught:
        read_portrait(path)
    assert str(path) in str(caught.value)


def test_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        read_portrait(tmp_path / "none.png")
    with pytest.raises(MediaError, match="cannot be read"):
        read_portrait(tmp_path)


@pytest.mark.parametrize(("width", "height"), [(12_000, 11_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(width: int, height: int) -> None:
    data = bytearray(encoded(Image.new("1", (64, 64))))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(MediaError, match=r"megapixels|too many pixels"):
        read_portrait(bytes(data))


def test_a_background_may_have_fewer_pixels_than_a_photo() -> None:
    """Anybody who may use the page sends them, several at a time."""
    photo = encoded(Image.new("1", (10_000, 7_000)))
    with pytest.raises(MediaError, match="at most 64 megapixels"):
        read_background(photo, (0, 0, 0))
