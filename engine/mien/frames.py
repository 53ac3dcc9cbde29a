"""What moves between stages: typed, time-stamped, immutable values.

Conventions shared by all of them:

- `capture_ns`: when the light or sound reached us, engine clock, integer nanoseconds; it travels with
  the frame to the very end.
- `epoch`: bumped on interruption (another source); every queue discards frames of an older epoch.
- Arrays are read-only once a frame holds them. A buffer that came from a `BufferPool` goes back to it
  when the last frame or view that holds it is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Bytes = NDArray[np.uint8]

EXPRESSIONS = 52
"""Size of the public expression space: the ARKit blendshape names, see `mien.face.rig`."""

DETAIL = (23, 18, 2)
"""Shape of `FaceParams.detail`: rows from the forehead to the chin, columns from the subject's right to the left."""

LOWEST_RATE, HIGHEST_RATE = 8_000, 96_000
"""Hz of the sound that is taken from devices and programs, and that is listened to."""

NO_FRAME = -1
"""Index of a picture that no frame of the source was drawn for: the last one, shown once more."""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A picture.

    pixels: (H, W, 3) uint8 RGB; decoders pad rows. alpha: (H, W) uint8 or None when opaque; it is straight: the
    colours are not multiplied by it, and go on beyond the edge. backdrop: the colour to put behind where alpha
    can't be kept (`mien.render.composition.flattened`). `index` counts the frames of
    one source from 0; a renderer keeps its driver's index. It names a frame in traces and begins anew with
    each source (`NO_FRAME`: none): what must grow is `capture_ns`.
    """

    pixels: Bytes
    capture_ns: int
    alpha: Bytes | None = None
    index: int = 0
    epoch: int = 0
    backdrop: tuple[int, int, int] = (0, 128, 0)

    def __post_init__(self) -> None:
        self.pixels.setflags(write=False)
        if self.alpha is not None:
            self.alpha.setflags(write=False)

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """A stretch of sound.

    samples: (N, C) float32 in [-1, 1]; rate: Hz; `capture_ns` is the time of the first sample.
    """

    samples: Float
    rate: int
    capture_ns: int
    epoch: int = 0

    def __post_init__(self) -> None:
        self.samples.setflags(write=False)

    @property
    def duration_ns(self) -> int:
        return len(self.samples) * 1_000_000_000 // self.rate

    def pieces(self, length_ns: int) -> Iterator[AudioFrame]:
        """The same sound in stretches of `length_ns`, the last one shorter."""
        length = max(length_ns * self.rate // 1_000_000_000, 1)
        for start in range(0, len(self.samples), length):
            yield replace(
                self,
                samples=self.samples[start : start + length],
                capture_ns=self.capture_ns + start * 1_000_000_000 // self.rate,
            )


def _zeros(*shape: int) -> Callable[[], Float]:
    return lambda: np.zeros(shape, np.float32)


@dataclass(frozen=True, slots=True)
class FaceParams:
    """What changes of a face from frame to frame (the groups of Deep Video Portraits, section 4).

    rotation: (3,) float32, axis-angle, radians, head space to camera space.
    translation: (3,) float32, cm, position of the head-space origin in camera space (OpenGL: x right,
        y up, the camera looks along -z, so z < 0 in front of it).
    expression: (52,) float32, ARKit blendshape weights, normally in [0, 1], order of `rig.ARKIT_NAMES`.
    gaze: (2, 2) float32, radians in head space; rows: the subject's left and right eye; columns: yaw
        (positive to the subject's left) and pitch (positive up).
    light: (9, 3) float32, spherical-harmonics coefficients per colour channel (`mien.face.light`); zeros when
        unknown. Of an avatar: relative to what lit its portrait (`mien.face.light.relative_light`), zeros: as there.
    confidence: 0 (nothing seen, the values are a guess or a hold) to 1. mouth_confidence: that of the mouth alone, 0
        where it is covered or in the dark; 1 where nobody looked.
    detail: `DETAIL` float32, cm, or None when unknown: where the skin is beyond what pose and expression say, along x
        and y of the head, at the nodes of a lattice over the face (`mien.face.chart`), relative to the face at rest.
    detail_around: 0 to 1, how far `detail` also tells where hair and neck around the face are. Of an avatar: 0 unless
        it is the driver's own portrait.
    """

    capture_ns: int
    rotation: Float = field(default_factory=_zeros(3))
    translation: Float = field(default_factory=lambda: np.array([0, 0, -60], np.float32))
    expression: Float = field(default_factory=_zeros(EXPRESSIONS))
    gaze: Float = field(default_factory=_zeros(2, 2))
    light: Float = field(default_factory=_zeros(9, 3))
    confidence: float = 1.0
    index: int = 0
    epoch: int = 0
    mouth_confidence: float = 1.0
    detail: Float | None = None
    detail_around: float = 0.0

    def __post_init__(self) -> None:
        for array in (self.rotation, self.translation, self.expression, self.gaze, self.light):
            array.setflags(write=False)
        if self.detail is not None:
            self.detail.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Conditioning:
    """Images that describe a posed face to a renderer.

    images: name -> (H, W, C) array; names and ranges are those of `mien.render.conditioning`.
    """

    images: Mapping[str, NDArray[Any]]
    capture_ns: int
    index: int = 0
    epoch: int = 0


Frame = VideoFrame | AudioFrame | FaceParams | Conditioning


class _Lease:
    """Owner of one pooled buffer; every numpy view of it keeps the lease alive."""

    __slots__ = ("__array_interface__", "_pool", "_storage")

    def __init__(self, pool: BufferPool, storage: NDArray[Any]) -> None:
        self._pool = pool
        self._storage = storage
        self.__array_interface__ = storage.__array_interface__

    def __del__(self) -> None:
        self._pool._give_back(self._storage)


class BufferPool:
    """A bounded pool of equal arrays. Thread-safe.

    `take()` returns a writable array; it goes back by itself when the last view of it is gone. When
    all buffers are out, a fresh unpooled array is returned and `misses` counts it: a stage never waits
    for a buffer and never writes into one that somebody still reads.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.uint8, size: int = 8) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.size = size
        self.misses = 0
        self._made = 0
        self._free: list[NDArray[Any]] = []
        # Re-entrant: the collector may run a lease's __del__ while this thread holds the lock.
        self._lock = threading.RLock()

    def take(self) -> NDArray[Any]:
        """Return a writable array of the pool's shape and type, contents undefined."""
        with self._lock:
            if self._free:
                storage = self._free.pop()
            elif self._made < self.size:
                self._made += 1
                storage = np.empty(self.shape, self.dtype)
            else:
                self.misses += 1
                return np.empty(self.shape, self.dtype)
        return np.asarray(_Lease(self, storage))

    @property
    def in_use(self) -> int:
        """How many pooled buffers are held by somebody."""
        with self._lock:
            return self._made - len(self._free)

    def _give_back(self, storage: NDArray[Any]) -> None:
        with self._lock:
            self._free.append(storage)
