"""What is inside an avatar package, in words."""

from __future__ import annotations

from mien.avatar.package import Avatar, AvatarContent

_LABEL = 12

_BASES = {
    "self": "the person in the picture agreed",
    "document": "a document that the person agreed to",
    "public-domain": "a picture in the public domain",
}


def describe(avatar: Avatar) -> str:
    """What `mien avatar show` prints: one line per property."""
    content, consent = avatar.content, avatar.consent
    camera = content.subject.camera
    rows = {
        "title": content.title or "(none)",
        "file": _file(avatar),
        "made": f"{avatar.created} by mien {avatar.engine_version}",
        "renderer": content.renderer,
        "face model": f"{_model(content)}, {len(content.subject.identity)} identity coefficients",
        "camera": f"{camera.width}x{camera.height} px, focal length {camera.focal:.0f} px",
        "consent": f"{consent.holder}, {consent.date} ({_BASES[consent.basis]})",
        "statement": consent.statement,
        "images": _listed({name: array.shape for name, array in content.images.items()}),
        "arrays": _listed({name: array.shape for name, array in content.arrays.items()}),
    }
    indent = "\n" + " " * _LABEL
    return "\n".join(f"{label:<{_LABEL}}{text.replace(chr(10), indent)}" for label, text in rows.items())


def _model(content: AvatarContent) -> str:
    edition = f" (edition {content.model_fingerprint})" if content.model_fingerprint else ""
    return f"{content.face_model}{edition}"


def _file(avatar: Avatar) -> str:
    if avatar.path is None:
        return "(not saved)"
    return f"{avatar.path} ({avatar.path.stat().st_size / 2**20:.1f} MB)"


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    return (
        ", ".join(f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in shapes.items())
        or "none"
    )
