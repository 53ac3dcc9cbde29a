"""The astronaut made into an avatar once for all tests of this folder, and a renderer for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mien.avatar.package import Avatar, Consent, load_avatar, save_avatar
from mien.stage import Kind
from mien.testing.context import FakeContext
from mien_photo.renderer import PhotoRenderer

CONSENT = Consent("A test.", "NASA", "public-domain", "2025-01-01")


def services():
    from mien_mediapipe.landmarker import MediaPipeLandmarker
    from mien_mediapipe.segmenter import SelfieSegmenter
    from mien_raster.rasterizer import NumbaRasterizer

    return {
        Kind.LANDMARKER: MediaPipeLandmarker,
        Kind.SEGMENTER: SelfieSegmenter,
        Kind.RASTERIZER: NumbaRasterizer,
    }


@pytest.fixture(scope="session")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    """As it comes from disk."""
    from skimage.data import astronaut

    from mien_photo.maker import PhotoMaker

    context = FakeContext(services=services())
    maker = PhotoMaker()
    maker.open(context)
    content = maker.make(astronaut())
    maker.close()
    context.close()
    path = tmp_path_factory.mktemp("avatar") / "astronaut.avatar"
    save_avatar(Avatar.new(content, CONSENT), path)
    return load_avatar(path)


@pytest.fixture
def rendering(avatar: Avatar) -> Iterator[Callable[..., PhotoRenderer]]:
    """Opens renderers of the astronaut; closes them in the end."""
    opened: list[tuple[PhotoRenderer, FakeContext]] = []

    def opening(size: tuple[int, int] = (256, 256)) -> PhotoRenderer:
        context = FakeContext(avatar=avatar, size=size, services=services())
        renderer = PhotoRenderer()
        renderer.open(context)
        opened.append((renderer, context))
        return renderer

    yield opening
    for renderer, context in opened:
        renderer.close()
        context.close()
