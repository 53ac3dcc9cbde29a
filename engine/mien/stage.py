"""Stages and services: the only file that a plugin author must read.

A **stage** is a box on the way of a frame that a plugin can replace:

    Source ──▶ Tracker / Listener ──▶ (driver, the engine's own) ──▶ Renderer ──▶ Output

A **service** is what stages share: they ask the context for it by kind, never for a plugin by name.

Compute stages (`Tracker`, `Listener`, `Renderer`) are synchronous: `open`, `process`, `close` are called
on one lane (worker thread) at a time and never touch the event loop. Sources and outputs are async and
live at the edges. All times are engine-clock nanoseconds; no stage reads the wall clock.

A stage that cannot go on raises; the session then holds the last good picture, says so, and restarts the
stage with back-off. A stage never passes its input through when it fails: camera pixels stay inside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.clock import Clock
from mien.frames import AudioFrame, Bytes, FaceParams, Float, VideoFrame

if TYPE_CHECKING:
    from mien.avatar.package import Avatar, AvatarContent
    from mien.config import VoiceSection
    from mien.face.subject import Subject


class Kind(StrEnum):
    """What a plugin can provide."""

    SOURCE = "source"
    TRACKER = "tracker"
    LISTENER = "listener"
    RENDERER = "renderer"
    OUTPUT = "output"
    MAKER = "maker"
    GATEWAY = "gateway"
    LANDMARKER = "landmarker"
    SEGMENTER = "segmenter"
    RASTERIZER = "rasterizer"
    RUNTIME = "runtime"
    ENCODER = "encoder"


class Context(Protocol):
    """What a stage is handed when it opens."""

    @property
    def clock(self) -> Clock: ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """The stage's own section of the configuration, `[plugin.<name>]`; validate it in `open`."""

    @property
    def fps(self) -> float:
        """Frames per second that the session aims at."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px of the pictures that the session sends out."""

    @property
    def live(self) -> bool:
        """True when frames are due in real time, False when rendering offline (every frame counts)."""

    @property
    def face_model(self) -> str:
        """Name of the face model to track with (`mien.face.model.load_model`)."""

    @property
    def voice(self) -> VoiceSection:
        """How a voice is to be listened to."""

    @property
    def avatar(self) -> Avatar | None:
        """The avatar that the session animates; None where there is none (`mien track`)."""

    def service(self, kind: Kind) -> Any:
        """Return an opened service of that kind, the stage's own; closed after the stage.

        Raises `PluginError` or `MissingExtraError` (with the install line) when none can be had.
        """

    def notice(self, text: str) -> None:
        """Tell the user in one line about something that was decided or is amiss."""


class Opened(ABC):
    """Anything with a life: `open` once, use, `close` once. `close` must be safe after a failed `open`.

    `open` runs on a thread of its own, so that no session's frames wait for it; all else on one lane at a time.
    """

    def open(self, context: Context) -> None:
        """Acquire what is needed; heavy imports happen here, not at module level."""

    def close(self) -> None:
        """Give everything back."""


# --- sources and outputs: async, at the edges ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a source knows about itself once opened. Unknown values are None."""

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    frames: int | None = None
    duration_s: float | None = None
    audio_rate: int | None = None
    title: str = ""


class Source(ABC):
    """Where frames come from. A source yields `VideoFrame`s (to be tracked), `AudioFrame`s, or
    `FaceParams` (already tracked: a performance), in order of capture time.
    """

    async def open(self, context: Context) -> None:
        """Acquire the device or file. Raises `DeviceError` or `MediaError`."""

    @classmethod
    def available(cls) -> bool:
        """Whether there is anything to open, e.g. a camera; must be quick."""
        return True

    @property
    def info(self) -> MediaInfo:
        return MediaInfo()

    @property
    def subject(self) -> Subject | None:
        """Whose face the yielded `FaceParams` describe; None for sources of pictures."""
        return None

    @abstractmethod
    def frames(self) -> AsyncIterator[VideoFrame | AudioFrame | FaceParams]:
        """Yield until the media ends. Live: paced in real time, stamped with `clock.now_ns()` at arrival.

        Offline (`context.live` False): as fast as they are taken, stamped with media time from 0. A
        device that goes away raises `DeviceError`; the session then idles and tries to reopen it.
        """

    @property
    def dropped(self) -> Mapping[str, int]:
        """What was given up so far, by reason, e.g. {"overtaken at decoding": 3}."""
        return {}

    async def close(self) -> None:
        """Give everything back. Safe after a failed `open`."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What the avatar's face does in one picture.

    params: under the avatar's own camera, with the capture time of the picture. avatar: whose face it is; what it
    looks like at rest.
    """

    params: FaceParams
    avatar: Subject

    @property
    def epoch(self) -> int:
        return self.params.epoch


class Output(ABC):
    """Where finished pictures and the matching sound go."""

    async def open(self, context: Context) -> None:
        """Acquire the device or file. Raises `DeviceError`, `MediaError`."""

    @abstractmethod
    async def video(self, frame: VideoFrame) -> None:
        """Take one finished picture. Live outputs must return quickly; offline ones may wait for room."""

    @abstractmethod
    async def audio(self, frame: AudioFrame) -> None:
        """Take sound; live sound comes already delayed to match the pictures."""

    @property
    def takes_alpha(self) -> bool:
        """Whether `video` understands pictures with an alpha channel; otherwise it only ever gets opaque ones,
        with the colour of their `backdrop` behind the person.
        """
        return False

    def hush(self, epoch: int) -> None:
        """Forget sound that still waits here and is older than `epoch`: the speaker was interrupted. Quick."""

    async def face(self, driven: Driven) -> None:
        """Take the motion of a picture, live and before the picture is drawn. Only outputs of motion have use
        for it; those that don't override this are not asked.
        """

    @property
    def dropped(self) -> Mapping[str, int]:
        """What was given up so far, by reason."""
        return {}

    async def close(self) -> None:
        """Finish the file or release the device. Safe after a failed `open`."""

    async def abandon(self) -> None:
        """Like `close`, but remove anything half-written: the session failed."""
        await self.close()


# --- compute stages: synchronous, on a lane -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tracked:
    """What a tracker says about one picture. `params` is None when no face was found."""

    params: FaceParams | None
    subject: Subject | None = None
    """who it is; a new epoch each time identity, offsets or camera were estimated anew"""
    faces: int = 0
    """how many faces were seen"""
    landmarks: Float | None = None
    """(478, 3) float32 px, for overlays and tests"""


class Tracker(Opened):
    """Picture in, face parameters out."""

    @abstractmethod
    def process(self, frame: VideoFrame) -> Tracked: ...

    def reset(self) -> None:
        """Forget the person: the source changed."""


class Listener(Opened):
    """Sound in, face parameters out; at most one per video frame interval, in order of time.

    An answer's `capture_ns` is that of the sound it belongs to. Only the expressions of mouth, jaw, tongue and
    cheeks are set, from a face at rest; `confidence` is 0 where nobody speaks.
    """

    @abstractmethod
    def process(self, frame: AudioFrame) -> list[FaceParams]: ...

    @property
    def look_ahead_ms(self) -> float:
        """How far its answers are behind the newest sound. Asked once it is open."""
        return 0.0

    def reset(self) -> None:
        """Forget the sound so far: it was interrupted, or another voice begins."""


class Renderer(Opened):
    """Face parameters in, finished picture out.

    `open` finds the avatar in `context.avatar` and the picture size in `context.size`. `levels` says how
    many quality levels there are; level 0 is the best, each further one cheaper.
    """

    levels: int = 1

    @abstractmethod
    def process(self, params: FaceParams) -> VideoFrame: ...

    def set_level(self, level: int) -> None:
        """Render at `level` from the next frame on. Called between frames."""

    def set_background(self, background: Background) -> None:
        """Put something else behind the person from the next frame on. Called between frames."""

    def prepare_background(self, background: Background) -> Callable[[], None]:
        """Get ready for `set_background`, where that takes longer than a frame may wait.

        Called on another thread, while frames are drawn; one at a time. What it returns is called between frames, or
        never.
        """
        return partial(self.set_background, background)


@dataclass(frozen=True, slots=True)
class Background:
    """What stands behind the person. `mode`: keep, blur, colour, image, transparent.

    Transparent: pictures have an alpha channel, and `colour` as what is shown where that can't be kept.
    """

    mode: str = "keep"
    colour: tuple[int, int, int] = (0, 128, 0)
    image: Bytes | None = field(default=None, compare=False)


class Maker(Opened):
    """Makes the content of an avatar package out of a picture."""

    @abstractmethod
    def make(self, portrait: Bytes, alpha: Bytes | None = None) -> AvatarContent:
        """portrait: (H, W, 3) uint8 RGB, upright. Raises `NoFaceError`. Decisions go to `context.notice`."""


# --- services: what stages share ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FaceLandmarks:
    """One face in MediaPipe's topology.

    points: (478, 3) float32; x and y in px of the picture (x right, y down, pixel centres at .5), z in
    px towards the camera negative, relative to the face centre; 468-472 are the iris of the subject's
    right eye (image left), 473-477 of the left. score: 0 to 1.
    """

    points: Float
    score: float


class Landmarker(Opened):
    """Finds faces and their landmarks. Instances keep tracking state: one per stream of pictures."""

    @abstractmethod
    def detect(self, pixels: Bytes) -> list[FaceLandmarks]:
        """pixels: (H, W, 3) uint8 RGB. Returns the faces, largest first; empty when there is none.

        Pictures come in order of time, and a face may be followed from one to the next.
        """

    def detect_still(self, pixels: Bytes) -> list[FaceLandmarks]:
        """Like `detect` for a single picture, with more effort and no state."""
        return self.detect(pixels)

    @property
    def faces(self) -> int:
        """How many faces are in sight, where `detect` returns only some of them; 0: as many as it returns."""
        return 0

    def reset(self) -> None:
        """Forget the faces that were followed."""


class Segmenter(Opened):
    """Separates a person from the background."""

    @abstractmethod
    def segment(self, pixels: Bytes) -> Float:
        """pixels: (H, W, 3) uint8 RGB -> (H, W) float32 in [0, 1], 1 = person."""


@dataclass(frozen=True, slots=True)
class Fragments:
    """What a rasterizer found in each pixel; batch first, rows from the top.

    triangle: (N, H, W) int32, index into the triangle list, -1 where nothing is.
    barycentric: (N, H, W, 2) float32, perspective-correct weights of the triangle's first two corners.
    depth: (N, H, W) float32, z/w in clip space, -1 near to 1 far; +inf where nothing is.
    """

    triangle: NDArray[np.int32]
    barycentric: Float
    depth: Float


class Rasterizer(Opened):
    """Triangles to pixels, after nvdiffrast's conventions: clip-space positions, batch first.

    Thread-safe once opened; counter-clockwise triangles face the camera. Unlike nvdiffrast's, rows go from the top;
    `mien.render.fragments` has its packing (u, v, z/w, triangle + 1).
    """

    @property
    def supports(self) -> frozenset[str]:
        """Which of the optional operations there are: "texture", "antialias". The others raise."""
        return frozenset()

    @abstractmethod
    def rasterize(
        self,
        positions: Float,
        triangles: NDArray[np.int32],
        height: int,
        width: int,
        *,
        cull: bool = True,
        out: Fragments | None = None,
    ) -> Fragments:
        """positions: (N, V, 4) float32 clip space (x right, y up); triangles: (T, 3) int32.

        Pixel centres are sampled; the nearest triangle wins. cull: leave out triangles that face away. out: written
        to instead of new arrays; what it held is gone.
        """

    @abstractmethod
    def interpolate(
        self,
        attributes: Float,
        fragments: Fragments,
        triangles: NDArray[np.int32],
        *,
        out: Float | None = None,
    ) -> Float:
        """attributes: (N, V, C) float32 -> (N, H, W, C) float32, zero where no triangle is.

        (1, V, C) serves all pictures of the batch.
        """

    def texture(
        self, texture: Float, uv: Float, *, boundary: str = "wrap", out: Float | None = None
    ) -> Float:
        """texture: (N or 1, Th, Tw, C), uv: (N, H, W, 2) float32 -> (N, H, W, C) float32, bilinear.

        (0, 0) is the first texel's outer corner, (1, 1) the last one's. boundary: what lies beyond is the texture
        again (wrap), its edge (clamp) or nothing (zero). Optional, see `supports`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no texture lookup")

    def antialias(
        self,
        colours: Float,
        fragments: Fragments,
        positions: Float,
        triangles: NDArray[np.int32],
        *,
        out: Float | None = None,
    ) -> Float:
        """colours: (N, H, W, C) float32, drawn from `fragments` of `positions` (N, V, 4) -> the same, with
        silhouettes mixed with what lies behind them (Laine et al. 2020). Optional, see `supports`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not smooth edges")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a network takes or gives under one name. shape: None where any size will do (the batch, most often)."""

    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of that shape fits."""
        return len(shape) == len(self.shape) and all(
            want is None or want == have for want, have in zip(self.shape, shape, strict=True)
        )


class Network(ABC):
    """An exported network, ready to run. Not thread-safe: one per stage."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @abstractmethod
    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """One array for each name in `inputs`; returns one for each in `outputs`.

        A runtime on the CPU takes and gives numpy arrays. One on a GPU takes anything with `__dlpack__`, and gives
        arrays that have it and live on `Runtime.device`, so that networks follow one another without a copy.
        Arrays are the caller's to keep. Raises `StageError` that names the input that is missing, unknown or of
        the wrong shape or type.
        """

    def close(self) -> None:
        """Give memory and device back."""


class Runtime(Opened):
    """Runs exported networks (ONNX)."""

    device: str = "cpu"
    """where its arrays live, as users of DLPack call it: "cpu", "cuda:0" """

    @abstractmethod
    def load(self, model: Path | bytes, *, precision: str = "fp32") -> Network:
        """precision: the least that may be computed with: "fp32", "fp16" or "int8"; a runtime may use more where it
        gains nothing. A network that was quantised at its export runs as it was made.

        Raises `MediaError` when the file is missing or is no network, `ConfigError` for an unknown precision.
        """


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One encoded picture, Annex B for H.264."""

    data: bytes
    capture_ns: int
    keyframe: bool
    codec: str


class Encoder(Opened):
    """Pictures to a compressed stream. One instance feeds all viewers of a stream."""

    @abstractmethod
    def encode(self, frame: VideoFrame, *, keyframe: bool = False) -> list[EncodedFrame]: ...

    @abstractmethod
    def set_bitrate(self, bits_per_second: int) -> None: ...


# --- gateway: how the outside comes in --------------------------------------------------------------------


class Gateway(ABC):
    """Serves the page and the network protocols for all sessions of an engine (see `mien.engine.Engine`)."""

    @abstractmethod
    async def start(self, engine: Any) -> str:
        """Bind and serve; return the address to open in a browser. Raises `AddressError`."""

    @abstractmethod
    async def stop(self) -> None:
        """Close all connections within a second, then return."""


# --- what a plugin declares -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Provides:
    """One stage or service of a plugin.

    factory: "module:Class", imported only when it is first needed and called without arguments (sources
    and outputs get the user's argument, e.g. the path, as their only one). rank: the higher one is
    preferred when several provide the same kind and none is configured.
    """

    kind: Kind
    name: str
    factory: str
    summary: str = ""
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `mien doctor`."""

    name: str
    ok: bool
    detail: str
    mend: str = ""
    """the exact command that mends it; empty when there is nothing to do"""


@dataclass(frozen=True, slots=True)
class Plugin:
    """An import-light descriptor; the entry point in the group `mien.plugins` resolves to one.

    requires: import names that must be importable. install: the command that brings them.
    doctor: "module:function" returning `list[Check]`, or empty. warm: "module:function" that compiles
    what is compiled just in time, run once at install. settings: "module:Model", a pydantic model of what may
    stand in `[plugin.<name>]`, import-light; empty: nothing may. devices: "module:function" like `doctor`, about
    hardware only and quick, because every start asks for it.
    """

    name: str
    summary: str
    provides: tuple[Provides, ...]
    requires: tuple[str, ...] = ()
    install: str = ""
    doctor: str = ""
    warm: str = ""
    settings: str = ""
    devices: str = ""
