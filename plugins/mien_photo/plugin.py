"""Descriptor of the photo avatar plugin; import-light."""

from __future__ import annotations

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="photo",
    summary="Animates one photograph, no trained network",
    provides=(
        Provides(
            Kind.RENDERER,
            "photo",
            "mien_photo.renderer:PhotoRenderer",
            "warps the portrait and draws eyes and mouth anew",
        ),
        Provides(
            Kind.MAKER,
            "photo",
            "mien_photo.maker:PhotoMaker",
            "fits the face, separates it from the background, takes eyes and teeth apart",
        ),
    ),
    requires=("cv2",),
    install='pip install "mien[photo]"',
    warm="mien_photo.warming:warm",
)
