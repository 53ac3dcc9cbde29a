"""Images that describe posed faces to a renderer or a network: any subset on request, for a batch of faces at once.

name             channels, type   meaning
colour           3 float32        reflectance under the estimated light, [0, 1] (mien.face.light); 0 where nothing is
correspondence   3 float32        place on the mean face, each axis scaled to [0, 1] (PNCC, Zhu et al. 2016)
normals          3 float32        camera space, unit length; 0 where nothing is
uv               2 float32        the model's texture coordinates
depth            1 float32        distance from the camera, cm; 0 where nothing is
regions          1 int8           values of `mien.face.model.Region`; -1 where nothing is
masks            9 uint8          1 in the channel of the region that is seen, 0 elsewhere
gaze             4 float32        where the eyes look and how far they are shut, see `mien.render.gazemap`
source_xy        3 float32        where a source picture shows that point: x, y in px, and whether it does, [0, 1]
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.face.camera import Camera, rotation_matrix
from mien.face.light import ambient, harmonics
from mien.face.model import FaceModel, PosedFace, Region
from mien.face.normals import vertex_normals
from mien.face.reflectance import Reflectance
from mien.face.subject import REFLECTANCE, Subject
from mien.frames import EXPRESSIONS, Conditioning, FaceParams, Float
from mien.render.gazemap import closures, gaze_map, lid_shares
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien.render.sourceview import SourceView, see
from mien.stage import Fragments, Rasterizer

__all__ = ("CHANNELS", "NAMES", "OF_A_FACE", "Conditioner")

Image = NDArray[Any]
T = TypeVar("T")

CHANNELS = {
    "colour": 3,
    "correspondence": 3,
    "normals": 3,
    "uv": 2,
    "depth": 1,
    "regions": 1,
    "masks": len(Region),
    "gaze": 4,
    "source_xy": 3,
}
NAMES = tuple(CHANNELS)
OF_A_FACE = tuple(name for name in NAMES if name != "source_xy")
"""Those that need no source picture."""
_FACE = {"rotation": (3,), "translation": (3,), "expression": (EXPRESSIONS,), "gaze": (2, 2), "light": (9, 3)}
_PERSON = {"offsets": (478, 3), "reflectance": (REFLECTANCE,)}
"""Shapes of what is drawn of a face, and of whose it is."""
_PEOPLE = 16
"""Subjects that are kept ready."""


class Conditioner:
    """Draws conditioning images of faces that share a model. Not thread-safe.

    size: width and height of the images, px; a subject's camera is scaled to it.
    """

    def __init__(self, model: FaceModel, rasterizer: Rasterizer, size: tuple[int, int]) -> None:
        self.model = model
        self._rasterizer = rasterizer
        self._width, self._height = size
        self._people: list[_Person] = []
        low, high = model.mean.min(axis=0), model.mean.max(axis=0)
        self._place = np.asarray((model.mean - low) / (high - low), np.float32)

    def images(
        self,
        subjects: Subject | Sequence[Subject],
        params: Sequence[FaceParams],
        wanted: Collection[str] = OF_A_FACE,
        source: SourceView | Sequence[SourceView] | None = None,
    ) -> dict[str, Image]:
        """name -> (B, H, W, C), B = len(params), one rasterization for all.

        subjects: whose faces, one for all or one each. source: for "source_xy", one for all or one each, see
        `source`. Raises `ValueError` for an unknown name, no faces, lengths that differ, arrays of another shape or
        without numbers, a camera of another aspect, a subject of another model, or a missing source.
        """
        names = set(wanted)
        if unknown := names - set(NAMES):
            raise ValueError(f"unknown conditioning images {sorted(unknown)}; known: {', '.join(NAMES)}")
        if not params:
            raise ValueError("there are no params: give those of one face at least")
        for k, one in enumerate(params):
            _check(one, _FACE, f"params[{k}]")
        people = _one_each(subjects, len(params), "subjects")
        batch = _Batch(self, [self._person(subject) for subject in people], list(params))
        views: Sequence[SourceView] = ()
        if "source_xy" in names:
            if source is None:
                raise ValueError(
                    "source_xy needs a source: pass what Conditioner.source made of the portrait"
                )
            views = _one_each(source, len(params), "sources")
        return {name: batch.image(name, views) for name in NAMES if name in names}

    def frames(
        self,
        subjects: Subject | Sequence[Subject],
        params: Sequence[FaceParams],
        wanted: Collection[str] = OF_A_FACE,
        source: SourceView | Sequence[SourceView] | None = None,
    ) -> list[Conditioning]:
        """The same as `images`, face by face, stamped as its params are; (H, W, C) each, views of one batch."""
        images = self.images(subjects, params, wanted, source)
        for image in images.values():
            image.setflags(write=False)
        return [
            Conditioning(
                {name: image[k] for name, image in images.items()}, one.capture_ns, one.index, one.epoch
            )
            for k, one in enumerate(params)
        ]

    def source(self, subject: Subject, params: FaceParams) -> SourceView:
        """Where a portrait of `subject` that shows `params` has each vertex, in px of the subject's own camera."""
        camera = subject.camera
        own = Conditioner(self.model, self._rasterizer, (camera.width, camera.height))
        batch = _Batch(own, [self._person(subject)], [params])
        seen = batch.seen[0]
        return see(seen, batch.normals[0], camera.project(seen), batch.image("depth", ())[0, :, :, 0])

    @cached_property
    def reflectance(self) -> Reflectance:
        """Made when first asked for: takes half a second."""
        return Reflectance.of(self.model)

    @cached_property
    def lids(self) -> Float:
        return lid_shares(self.model)

    @property
    def place(self) -> Float:
        """(V, 3) what "correspondence" shows of each vertex."""
        return self._place

    def drawn(self, clip: Float) -> Fragments:
        return self._rasterizer.rasterize(clip, self.model.triangles, self._height, self._width)

    def interpolated(self, attributes: Float, hits: Fragments) -> Float:
        return self._rasterizer.interpolate(attributes, hits, self.model.triangles)

    def camera_of(self, subject: Subject) -> Camera:
        """The subject's camera for images of this size. Raises `ValueError` where the aspect differs."""
        camera = subject.camera
        factor = self._width / camera.width
        if abs(camera.height * factor - self._height) > 1:
            raise ValueError(
                f"the subject's camera is {camera.width}x{camera.height}, the images {self._width}x{self._height}: "
                "give a size of the same aspect"
            )
        scaled = camera.focal * factor, camera.cx * factor, camera.cy * factor
        return Camera(self._width, self._height, *scaled)

    def _person(self, subject: Subject) -> _Person:
        """Those used last are kept: evaluating identity and offsets takes some milliseconds."""
        for k, person in enumerate(self._people):
            if person.subject is subject:
                self._people.append(self._people.pop(k))
                return person
        if subject.model != self.model.name:
            raise ValueError(
                f"the subject was tracked with {subject.model}, the images show {self.model.name}"
            )
        most = len(self.model.identity)
        if subject.identity.ndim != 1 or len(subject.identity) > most:
            raise ValueError(
                f"identity of the subject has shape {subject.identity.shape} instead of ({most},) or fewer"
            )
        _check(subject, _PERSON | {"identity": subject.identity.shape}, "the subject")
        face = PosedFace(self.model, subject.identity, subject.offsets)
        self._people = [*self._people[-_PEOPLE + 1 :], _Person(subject, face)]
        return self._people[-1]


@dataclass(frozen=True, slots=True)
class _Person:
    subject: Subject
    face: PosedFace


class _Batch:
    """Posed faces, and what several images of them share."""

    def __init__(self, owner: Conditioner, people: list[_Person], params: list[FaceParams]) -> None:
        self._owner, self._people, self._params = owner, people, params
        count = len(owner.model.mean)
        self._rotations = [rotation_matrix(one.rotation) for one in params]
        self._posed = np.empty((len(params), count, 3), np.float32)
        clip = np.empty((len(params), count, 4), np.float32)
        for k, (person, one) in enumerate(zip(people, params, strict=True)):
            # The kernels take writable arrays; those of a frame are not.
            person.face.vertices(one.expression.copy(), one.gaze.copy(), self._posed[k])
            pose = pose_matrix(self._rotations[k], one.translation)
            to_clip(self._posed[k], pose, lens_of(owner.camera_of(person.subject)), clip[k])
        self.hits = owner.drawn(clip)

    def image(self, name: str, sources: Sequence[SourceView]) -> Image:
        """(B, H, W, C), see the top of the module."""
        model = self._owner.model
        match name:
            case "colour":
                return self._draw(self._colours())
            case "correspondence":
                return self._draw(self._owner.place[None])
            case "normals":
                smooth = self._draw(self.normals)
                smooth /= np.maximum(np.sqrt(np.einsum("bhwc,bhwc->bhw", smooth, smooth))[..., None], 1e-6)
                return np.asarray(smooth)
            case "uv":
                return self.uv
            case "depth":
                return self._draw(-self.seen[:, :, 2:])
            case "regions":
                return self.regions[..., None]
            case "masks":
                known = np.arange(len(Region), dtype=np.int8)
                return np.asarray(self.regions[..., None] == known, np.uint8)
            case "gaze":
                shut = np.stack([closures(one, self._owner.lids) for one in self._params])[..., None]
                closure = self._draw(shut)[..., 0]
                poses = zip(self._params, self._rotations, strict=True)
                return np.stack([
                    gaze_map(one, rotation, self.regions[k], self.uv[k], closure[k])
                    for k, (one, rotation) in enumerate(poses)
                ])  # fmt: skip
            case _:
                if any(len(view.points) != len(model.mean) for view in sources):
                    raise ValueError(f"the source was seen with another face model than {model.name}")
                return self._draw(np.stack([view.attributes for view in sources]))

    @cached_property
    def seen(self) -> Float:
        """(B, V, 3) camera space, cm."""
        turned = [posed @ rotation.T for posed, rotation in zip(self._posed, self._rotations, strict=True)]
        shifts = np.stack([one.translation for one in self._params])[:, None]
        return np.asarray(np.stack(turned) + shifts, np.float32)

    @cached_property
    def normals(self) -> Float:
        """(B, V, 3) camera space, unit."""
        triangles = self._owner.model.triangles
        return np.stack([vertex_normals(seen, triangles) for seen in self.seen])

    @cached_property
    def uv(self) -> Float:
        """(B, H, W, 2)."""
        return self._draw(self._owner.model.uv[None])

    @cached_property
    def regions(self) -> NDArray[np.int8]:
        """(B, H, W) values of `Region`, -1 where nothing is."""
        # The last entry is what index -1 finds.
        table = np.append(self._owner.model.triangle_region, np.int8(-1)).astype(np.int8)
        return np.asarray(table[self.hits.triangle], np.int8)

    def _colours(self) -> Float:
        """(B, V, 3) albedo times shading, [0, 1]. Light that is not known is white and even."""
        reflectance, unknown = self._owner.reflectance, ambient()
        colours = np.empty_like(self.normals)
        for k, (person, one) in enumerate(zip(self._people, self._params, strict=True)):
            light = one.light if one.light.any() else unknown
            shading = harmonics(self.normals[k]) @ light
            colours[k] = np.clip(reflectance.albedo(person.subject.reflectance) * shading, 0, 1)
        return colours

    def _draw(self, attributes: Float) -> Float:
        return self._owner.interpolated(attributes, self.hits)


def _check(owner: object, shapes: Mapping[str, tuple[int, ...]], name: str) -> None:
    """Raises `ValueError` unless the arrays of `owner` have these shapes and are finite."""
    for field, shape in shapes.items():
        array = getattr(owner, field)
        if array.shape != shape:
            raise ValueError(f"{field} of {name} has shape {array.shape} instead of {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{field} of {name} holds what is no number: leave out who was not seen")


def _one_each(given: T | Sequence[T], count: int, what: str) -> list[T]:
    several = list(given) if isinstance(given, Sequence) else [given] * count
    if len(several) != count:
        raise ValueError(f"{len(several)} {what} for {count} params: give one for all or one each")
    return several
