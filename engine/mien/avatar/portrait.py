"""Photos and backgrounds as they come: rotated, grey, transparent, 16 bits deep, palettes, CMYK, of any size."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import MediaError
from mien.frames import Bytes, VideoFrame

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 120_000_000
"""Larger pictures are refused before they are decoded."""

MAX_BACKGROUND_PIXELS = 64_000_000
"""Of a background: several may be read at the same time, as portraits never are."""

MAX_SIDE = 3072
"""Larger pictures are reduced to this many px on their longer side: an avatar shows about 1000."""

MAX_BYTES = 512 * 2**20

GOOD_SIDE = 256
MIN_SIDE = 32

# Not EPS, which runs Ghostscript, nor the rare ones, whose decoders nobody looks after.
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
_ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = 1


@dataclass(frozen=True, slots=True)
class Portrait:
    """pixels: (H, W, 3) uint8 sRGB, upright. alpha: (H, W) uint8, None when opaque."""

    pixels: Bytes
    alpha: Bytes | None = None


def read_portrait(
    source: str | Path | bytes,
    name: str = "The picture",
    notice: Callable[[str], None] = lambda _: None,
    *,
    max_pixels: int = MAX_PIXELS,
) -> Portrait:
    """Decode a photo, whatever it is.

    source: a path, or the bytes of a file that the messages shall call `name`. notice: told what was decided
    about the picture, one line each. Raises `MediaError` when it is missing, not an image, cut short, or
    beyond the bounds above.
    """
    from PIL import Image, ImageOps

    name = name if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else read_file(Path(source))
    if not data:
        raise MediaError(f"{name} is empty. Copy it again, or use another photo.")
    with _explained(name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about odd metadata that do not matter here
        Image.init()
        formats = [name for name in _FORMATS if name in Image.OPEN]  # Pillow may be built without some
        with Image.open(io.BytesIO(data), formats=formats) as image:
            width, height = image.size
            _check_size(name, width, height, max_pixels)
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                notice(f"{name} is animated; its first picture is used.")
            factor = min(1.0, MAX_SIDE / max(width, height))
            size = (max(1, round(width * factor)), max(1, round(height * factor)))
            # A JPEG then decodes at a half, quarter or eighth; the other formats do not mind.
            image.draft(None, size)
            image.load()
            if image.getexif().get(_ORIENTATION, _UPRIGHT) not in {0, _UPRIGHT}:
                notice(f"{name} was turned upright, as its EXIF data say.")
                ImageOps.exif_transpose(image, in_place=True)
            flat, alpha = _flat(image)
    if factor < 1:
        flat.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
        notice(f"{name} has {width}x{height} px; it was reduced to {flat.width}x{flat.height}.")
    if min(width, height) < GOOD_SIDE:
        notice(f"{name} has only {width}x{height} px, too small to look good; use 512 px or more.")
    if flat.mode == "L":
        notice(f"{name} is greyscale, and so the avatar will be.")
    if alpha is not None:
        alpha.thumbnail(flat.size, Image.Resampling.LANCZOS)
        notice(f"{name} has a transparent background; its outline is kept.")
    return Portrait(np.array(flat.convert("RGB")), None if alpha is None else np.array(alpha))


def read_background(source: str | Path | bytes, colour: tuple[int, int, int]) -> Bytes:
    """A picture to stand behind a person: (H, W, 3) uint8 sRGB, upright; bounded as a portrait is, and more.

    colour: RGB, shows where the picture is transparent. Raises `MediaError`.
    """
    from mien.render.composition import flattened  # compiles

    picture = read_portrait(source, max_pixels=MAX_BACKGROUND_PIXELS)
    return flattened(VideoFrame(picture.pixels, 0, picture.alpha, backdrop=colour)).pixels


def read_file(path: Path) -> bytes:
    """The bytes of a photo file. Raises `MediaError` when it is missing, unreadable or far too large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise MediaError(f"{path} has more than {MAX_BYTES >> 20} MB. Save it as JPEG.")
        return path.read_bytes()
    except FileNotFoundError:
        raise MediaError(f"{path} does not exist. Check the path.") from None
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror or error}.") from None


def _flat(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """An "RGB" or, when it has no colour, "L" picture, and its alpha where some of it is transparent."""
    alpha = None
    if image.has_transparency_data:
        if image.mode not in {"RGBA", "LA"}:
            image = image.convert("RGBA")
        alpha = image.getchannel("A")
        if alpha.getextrema() == (255, 255):
            alpha = None
    if image.mode == "F" or image.mode.startswith("I"):
        return _eight_bits(image), alpha
    if image.mode in {"1", "L", "LA"}:
        return image.convert("L"), alpha
    return _srgb(image), alpha


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit (or 32-bit, or floating-point) grey picture -> "L".

    The range is known for 16 bits only; the others are stretched to their brightest value.
    """
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, np.float32))
    white = 65535.0 if image.mode != "F" and values.max() <= 65535 else float(values.max())
    return Image.fromarray(np.clip(values * (255 / max(white, 1e-6)) + 0.5, 0, 255).astype(np.uint8))


def _srgb(image: Image.Image) -> Image.Image:
    """Any colour picture -> "RGB" in sRGB: phones store Display P3, printers CMYK."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile and image.mode in {"RGB", "CMYK"}:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            converted = None  # a broken profile: the plain numbers are close enough
        if converted is not None:
            return converted
    return image.convert("RGB")


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise MediaError(
            f"{name} has {width}x{height} px; at most {max_pixels // 1_000_000} megapixels are taken. "
            "Reduce it first."
        )
    if min(width, height) < MIN_SIDE:
        raise MediaError(f"{name} has {width}x{height} px, too small to show anything. Use 512 px or more.")


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises into a `MediaError` that names the file and the mend."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except UnidentifiedImageError:
        raise MediaError(f"{name} is not an image that can be read. Save it as JPEG, PNG or WebP.") from None
    except Image.DecompressionBombError:
        raise MediaError(f"{name} claims far too many pixels to be a photo. Reduce it first.") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        EOFError,
        ArithmeticError,
        struct.error,
    ):
        # Pillow's decoders meet broken files with any of these.
        raise MediaError(f"{name} is damaged or cut short. Copy it again, or use another photo.") from None
