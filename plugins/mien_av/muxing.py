"""Writes pictures and sound into a file. Synchronous; `mien_av.videofile` runs it on a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.video.frame import VideoFrame as AvPicture
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream

from mien.clock import NS_PER_S
from mien.frames import AudioFrame, Float, VideoFrame
from mien.render.composition import flattened, laid_out, of_shape
from mien_av.clip import AUDIO_RATE, Resampler
from mien_av.containers import Container
from mien_av.provenance import COMMENT, TAGS

_TICKS = 90_000
"""Time base of the pictures, 1/s: fine enough for any frame rate and the times between."""

_BLOCK = 1024
"""Samples in an AAC frame."""

_DRIFT = AUDIO_RATE // 20
"""Samples that sound may be off before silence fills the gap or what overlaps is cut."""

_EARLY_NS = 10 * NS_PER_S
"""Sound that may wait for the first picture."""


class Muxer:
    """One file. The first picture's capture time is the file's zero; all time stamps are kept. Its shape is the
    file's, too: later ones of another lose their sides, or stand between bars.

    beside: pictures are twice as wide, at their right alpha as grey. Otherwise, where `kind` can keep any, the file
    has alpha if the first picture has some, or whatever comes if it `may_become_transparent`; in one without, the
    pictures' backdrop stands behind the person. options: of the video encoder.

    Raises `av.error.FFmpegError` (which may be an `OSError`) from every method.
    """

    def __init__(
        self,
        path: Path,
        kind: Container,
        *,
        fps: float,
        options: Mapping[str, str],
        threads: int,
        beside: bool = False,
        may_become_transparent: bool = False,
    ) -> None:
        self._kind = kind
        self._container = av.open(str(path), "w", format=kind.format, options=dict(kind.options))
        self._container.metadata.update({"comment": COMMENT, **({} if kind.boxes else TAGS)})
        self._rate = Fraction(fps).limit_denominator(1001)
        self._options = dict(options)
        self._threads = threads
        self._beside = beside
        self._may_become_transparent = may_become_transparent
        self._alpha = False
        self._shape = (0, 0)
        self._reformatter = VideoReformatter()
        self._pictures: VideoStream | None = None
        self._sound: AudioStream | None = None
        self._zero_ns = 0
        self._last_tick = -1
        self._early: deque[AudioFrame] = deque()
        self._pending: Float = np.zeros((0, 2), np.float32)
        self._samples = 0
        """placed so far, including those in `_pending`"""
        self._encoded = 0
        self._resampler: Resampler | None = None

    @property
    def has_pictures(self) -> bool:
        return self._pictures is not None

    @property
    def has_sound(self) -> bool:
        return self._samples > 0

    def picture(self, frame: VideoFrame) -> None:
        """Pictures come in order of time; one that does not is shown a tick after the one before it."""
        if self._pictures is None:
            wanted = frame.alpha is not None or self._may_become_transparent
            self._alpha = wanted and bool(self._kind.alpha) and not self._beside
            self._shape = frame.width, frame.height
        frame = of_shape(frame, *self._shape)
        if self._beside:
            frame = laid_out(frame, "beside")
        elif not self._alpha:
            frame = flattened(frame)
        if self._pictures is None:
            self._pictures = self._opened(frame)
            self._zero_ns = frame.capture_ns
        stream = self._pictures
        picture = self._reformatter.reformat(
            _with_alpha(frame)
            if self._alpha
            else AvPicture.from_numpy_buffer(np.ascontiguousarray(frame.pixels)),
            stream.width,
            stream.height,
            stream.pix_fmt,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        tick = (frame.capture_ns - self._zero_ns) * _TICKS // NS_PER_S
        picture.pts = self._last_tick = max(tick, self._last_tick + 1)
        picture.time_base = Fraction(1, _TICKS)
        self._container.mux(stream.encode(picture))
        while self._early:
            self._place(self._early.popleft())

    def sound(self, frame: AudioFrame) -> None:
        """Sound is placed where its capture time says; gaps become silence, overlaps are cut."""
        if self._pictures is not None:
            self._place(frame)
            return
        self._early.append(frame)
        while frame.capture_ns - self._early[0].capture_ns > _EARLY_NS:
            self._early.popleft()

    def close(self, *, finish: bool = True) -> None:
        """Close the file; without `finish` its end is missing, and it is of no use."""
        try:
            if finish and self._pictures is not None and self._sound is not None:
                self._container.mux(self._pictures.encode(None))
                if len(self._pending):
                    self._encode(np.pad(self._pending, ((0, _BLOCK - len(self._pending)), (0, 0))))
                self._container.mux(self._sound.encode(None))
        finally:
            self._container.close()

    def _opened(self, frame: VideoFrame) -> VideoStream:
        kind = self._kind
        codec = _h264() if kind.video == "libx264" else kind.video
        options = self._options if codec == kind.video else {}
        stream = cast("VideoStream", self._container.add_stream(codec, self._rate, options=options))
        stream.width, stream.height = frame.width & ~1, frame.height & ~1  # 4:2:0 wants even sides
        stream.pix_fmt = kind.alpha if self._alpha else kind.pixels
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        context.gop_size = round(2 * self._rate)
        context.thread_count = self._threads
        context.colorspace = Colorspace.ITU709
        context.color_range = ColorRange.MPEG
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        self._sound = cast("AudioStream", self._container.add_stream(kind.audio, AUDIO_RATE, layout="stereo"))
        self._sound.bit_rate = 128_000
        return stream

    def _place(self, frame: AudioFrame) -> None:
        samples = self._stereo(frame)
        start = (frame.capture_ns - self._zero_ns) * AUDIO_RATE // NS_PER_S
        off = start - self._samples
        if off < 0 and (off < -_DRIFT or self._samples == 0):
            samples = samples[-off:]
        elif off > _DRIFT:
            self._silence(off)
        self._append(samples)

    def _silence(self, count: int) -> None:
        """In pieces: a gap may be an hour long."""
        while count > 0:
            piece = min(count, AUDIO_RATE)
            self._append(np.zeros((piece, 2), np.float32))
            count -= piece

    def _append(self, samples: Float) -> None:
        self._samples += len(samples)
        pending = np.concatenate([self._pending, samples])
        whole = len(pending) // _BLOCK * _BLOCK
        for start in range(0, whole, _BLOCK):
            self._encode(pending[start : start + _BLOCK])
        self._pending = pending[whole:]

    def _encode(self, block: Float) -> None:
        """block: (1024, 2)"""
        piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(block.T), format="fltp", layout="stereo")
        piece.sample_rate = AUDIO_RATE
        # With time stamps the encoder's delay, one block, is known to the file, and players skip it.
        piece.pts, piece.time_base = self._encoded, Fraction(1, AUDIO_RATE)
        self._encoded += _BLOCK
        if self._sound is not None:
            self._container.mux(self._sound.encode(piece))

    def _stereo(self, frame: AudioFrame) -> Float:
        samples = frame.samples
        samples = np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else samples[:, :2]
        if frame.rate == AUDIO_RATE:
            return samples
        piece = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), format="flt", layout="stereo"
        )
        piece.sample_rate = frame.rate
        if self._resampler is None:
            self._resampler = Resampler(2)
        return self._resampler.feed(piece)


def copy_pictures(source: Path, target: Path, kind: Container) -> None:
    """Copy a file without its sound. Raises `av.error.FFmpegError`."""
    options = dict(kind.options)
    with (
        av.open(str(source)) as whole,
        av.open(str(target), "w", format=kind.format, options=options) as silent,
    ):
        silent.metadata.update({"comment": COMMENT, **({} if kind.boxes else TAGS)})
        stream = whole.streams.video[0]
        copied = silent.add_stream_from_template(stream)
        if stream.metadata.get("alpha_mode") == "1":
            # What is read of a WebM forgets that there is alpha; the muxer looks here whether to say so.
            copied.codec_context.pix_fmt = kind.alpha
        for packet in whole.demux(stream):
            if packet.dts is not None:
                packet.stream = copied
                silent.mux(packet)


def _with_alpha(frame: VideoFrame) -> AvPicture:
    """As RGBA; an opaque picture's alpha is 255."""
    alpha = np.full(frame.pixels.shape[:2], 255, np.uint8) if frame.alpha is None else frame.alpha
    return AvPicture.from_ndarray(np.dstack([frame.pixels, alpha]), format="rgba")


def _h264() -> str:
    """x264, or whatever else this FFmpeg encodes H.264 with."""
    try:
        Codec("libx264", "w")
    except UnknownCodecError:
        return "h264"
    return "libx264"
