"""Descriptor of the photo avatar; import-light."""

from __future__ import annotations

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="photo",
    summary="a photo comes alive: makes and renders photo avatars on the CPU",
    provides=(
        Provides(Kind.MAKER, "photo", "mien_photo.maker:PhotoMaker", "an avatar out of one photo", rank=10),
        Provides(Kind.RENDERER, "photo", "mien_photo.renderer:PhotoRenderer", "the photo, warped in 2.5D", rank=10),
    ),
    requires=("cv2",),
    install='pip install "mien[photo]"',
)
