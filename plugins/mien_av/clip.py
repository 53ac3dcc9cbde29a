"""A clip on disk: pictures and sound in order of time, whatever the container and codec; or sound alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast, overload

import av
import numpy as np
from av.audio.frame import AudioFrame as AvSound
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame as AvPicture
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from mien.clock import NS_PER_S
from mien.errors import MediaError
from mien.frames import AudioFrame, Float, VideoFrame
from mien.stage import MediaInfo
from mien_av.boxes import missing_bytes
from mien_av.rgb import to_rgb

AUDIO_RATE = 48_000

# Containers of pictures and sound. FFmpeg also opens text files (as teletype art) and playlists, which may
# name any other file or address.
_FORMATS = (
    "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,flv,asf,ogg,gif,apng,ivf,mxf,yuv4mpegpipe,h264,hevc,"
    "mp3,wav,flac,aac,aiff,au,caf,w64,png_pipe,jpeg_pipe,webp_pipe"
)
_GAP_NS = 50_000_000
"""Sound whose time stamps wander less than this is taken as unbroken."""

_MAX_DAMAGED = 500
"""Undecodable packets in front of the first picture before a clip is given up."""


@dataclass(frozen=True, slots=True)
class _Start:
    """What the first picture tells, or the first sound where there are none."""

    origin_ns: int
    """its time in the file: the zero of media time"""
    frame_ns: int
    """typical duration of a picture"""


class Clip:
    """A file that has been looked into. Reading it opens it anew, so a clip can be read many times.

    max_side: larger pictures are reduced to this on their longer side, px. Blocking: use it on a thread.
    Raises `MediaError`, naming the file and the mend, when it is missing, no clip, cut short, or holds neither
    pictures nor sound.
    """

    def __init__(self, path: Path, max_side: int = 1280) -> None:
        self.path = path
        self.notices: list[str] = []
        self.damaged = 0
        """packets that could not be decoded while reading"""
        self.end_ns = 0
        """media time at which the last picture's turn, or the sound, is over; known once `play` has come to its end"""
        self._max_side = max_side
        self._require_whole()
        with self._opened() as container:
            duration_s = container.duration / av.time_base if container.duration else None
            self.has_sound = bool(container.streams.audio)
            self.has_pictures = self._shows_pictures(container)
            if not self.has_pictures:
                self._start = _Start(self._first_sound_ns(container), 0)
                self.info = MediaInfo(duration_s=duration_s, audio_rate=AUDIO_RATE, title=path.name)
                return
            stream = self._video_stream(container)
            picture = self._first_picture(container, stream)
            pixels = to_rgb(picture, VideoReformatter(), max_side, stream.sample_aspect_ratio)
            rate = stream.average_rate or stream.guessed_rate
            fps = float(rate) if rate else None
            self._start = _Start(_time_ns(picture, stream.time_base), round(NS_PER_S / (fps or 25)))
            self.info = MediaInfo(
                width=pixels.shape[1],
                height=pixels.shape[0],
                fps=fps,
                frames=stream.frames or (round(duration_s * fps) if duration_s and fps else None),
                duration_s=duration_s,
                audio_rate=AUDIO_RATE if self.has_sound else None,
                title=path.name,
            )
            if picture.rotation % 360:
                self.notices.append(f"{path} was turned upright, as its metadata say.")
            if max(picture.width, picture.height) > max_side:
                self.notices.append(
                    f"{path} has {picture.width}x{picture.height} px; "
                    f"its pictures are reduced to {pixels.shape[1]}x{pixels.shape[0]}."
                )

    def play(self) -> Iterator[VideoFrame | AudioFrame]:
        """Everything once, in order of media time, which starts at 0 with the first picture.

        Sound that precedes the first picture or follows the last is left out. Where there are no pictures, time
        starts with the sound.
        """
        if not self.has_pictures:
            for piece in self.sound():
                self.end_ns = piece.capture_ns + piece.duration_ns
                yield piece
            return
        sound = self.sound() if self.has_sound else iter(())
        heard = next(sound, None)
        last_ns, step_ns = 0, self._start.frame_ns
        for picture in self.pictures():
            while heard is not None and heard.capture_ns < picture.capture_ns:
                yield heard
                heard = next(sound, None)
            if picture.index:
                step_ns = picture.capture_ns - last_ns
            last_ns = picture.capture_ns
            yield picture
        # The last picture stands as long as the one before it did.
        while heard is not None and heard.capture_ns < last_ns + step_ns:
            yield heard
            heard = next(sound, None)
        self.end_ns = last_ns + step_ns

    def pictures(self) -> Iterator[VideoFrame]:
        """RGB pictures, upright, with square pixels; time strictly grows, at whatever rate."""
        self.damaged = 0
        with self._opened() as container:
            stream = self._video_stream(container)
            stream.thread_type = "AUTO"
            reformatter = VideoReformatter()
            index, last_ns = 0, -1
            for picture in self._decoded(container, stream):
                if picture.pts is None:
                    time_ns = last_ns + self._start.frame_ns if index else 0
                else:
                    time_ns = _time_ns(picture, stream.time_base) - self._start.origin_ns
                time_ns = max(time_ns, last_ns + 1)
                pixels = to_rgb(picture, reformatter, self._max_side, stream.sample_aspect_ratio)
                yield VideoFrame(pixels, time_ns, index=index)
                index, last_ns = index + 1, time_ns

    def sound(self) -> Iterator[AudioFrame]:
        """Mono or stereo at 48 kHz, in the pieces that the codec comes in."""
        if not self.has_pictures:
            self.damaged = 0
        with self._opened() as container:
            stream = container.streams.audio[0]
            resampler = Resampler(stream.channels)
            due_ns: int | None = None
            for piece in self._decoded(container, stream):
                if piece.pts is not None:
                    time_ns = _time_ns(piece, stream.time_base) - self._start.origin_ns
                    if due_ns is None or abs(time_ns - due_ns) > _GAP_NS:
                        due_ns = time_ns
                samples = resampler.feed(piece)
                start_ns = due_ns or 0
                due_ns = start_ns + len(samples) * NS_PER_S // AUDIO_RATE
                early = max(0, -(start_ns * AUDIO_RATE // NS_PER_S))  # samples, rounded up
                if early < len(samples):
                    yield AudioFrame(samples[early:], AUDIO_RATE, start_ns + early * NS_PER_S // AUDIO_RATE)

    # --- opening --------------------------------------------------------------------------------------

    def _require_whole(self) -> None:
        try:
            missing = missing_bytes(self.path)
        except OSError as error:
            raise MediaError(f"{self.path} cannot be read: {error.strerror or error}.") from None
        size = self.path.stat().st_size
        if not size:
            raise MediaError(f"{self.path} is empty. Copy or download it again.")
        if missing:
            raise MediaError(
                f"{self.path} is cut short: {missing} of {size + missing} bytes are missing. "
                "Copy or download it again."
            )

    def _opened(self) -> InputContainer:
        try:
            return av.open(
                str(self.path), options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
            )
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{self.path} is not a clip that can be read ({_reason(error)}). "
                "Copy it again, or convert it to MP4."
            ) from None

    def _shows_pictures(self, container: InputContainer) -> bool:
        """Whether there are pictures, or sound alone."""
        moving = [one for one in container.streams.video if not _is_cover(one)]
        if not moving and not container.streams.audio:
            raise MediaError(
                f"{self.path} has neither pictures nor sound. Give a clip that shows a face, or speech."
            )
        return bool(moving)

    def _video_stream(self, container: InputContainer) -> VideoStream:
        return next(stream for stream in container.streams.video if not _is_cover(stream))

    def _first_sound_ns(self, container: InputContainer) -> int:
        stream = container.streams.audio[0]
        for piece in self._decoded(container, stream):
            return _time_ns(piece, stream.time_base) if piece.pts is not None else 0
        raise MediaError(
            f"{self.path} holds no sound that can be decoded. Copy it again, or convert it to WAV."
        )

    def _first_picture(self, container: InputContainer, stream: VideoStream) -> AvPicture:
        for picture in self._decoded(container, stream):
            return picture
        raise MediaError(
            f"{self.path} holds no picture that can be decoded. Copy it again, or convert it to MP4."
        )

    @overload
    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[AvPicture]: ...
    @overload
    def _decoded(self, container: InputContainer, stream: AudioStream) -> Iterator[AvSound]: ...
    def _decoded(self, container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Any]:
        """Decode packet by packet; damaged ones are skipped and counted."""
        good = False
        try:
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:  # whatever it is called: AAC says EPERM of a damaged packet
                    self.damaged += 1
                    if not good and self.damaged > _MAX_DAMAGED:
                        return
                    continue
                good = good or bool(frames)
                yield from cast("list[Any]", frames)
        except av.error.FFmpegError as error:
            raise MediaError(
                f"{self.path} cannot be read to its end ({_reason(error)}). Copy it again, or make it an MP4."
            ) from None


class Resampler:
    """Sound of any format and rate -> float32 at 48 kHz, mono or stereo."""

    def __init__(self, channels: int) -> None:
        self._layout = "mono" if channels == 1 else "stereo"
        self._resampler = self._made()

    def feed(self, piece: AvSound) -> Float:
        """Returns (N, C) float32; N may be 0 while the filter fills."""
        # Without time stamps: those of damaged files make the resampler give up.
        piece.pts = None
        parts: list[AvSound] = []
        for _ in range(2):
            try:
                parts = self._resampler.resample(piece)
                break
            except (ValueError, av.error.FFmpegError):
                # The stream changed its format; a damaged piece that claims 43 channels fails again, and is left out.
                self._resampler = self._made()
        channels = 1 if self._layout == "mono" else 2
        arrays = [part.to_ndarray().reshape(-1, channels) for part in parts]
        return np.concatenate(arrays) if arrays else np.zeros((0, channels), np.float32)

    def _made(self) -> av.AudioResampler:
        return av.AudioResampler("flt", self._layout, AUDIO_RATE)


def _is_cover(stream: VideoStream) -> bool:
    """The picture that a song carries along."""
    return bool(stream.disposition & Disposition.attached_pic)


def _time_ns(frame: av.VideoFrame | av.AudioFrame, stream_time_base: Fraction | None) -> int:
    base = frame.time_base or stream_time_base or Fraction(1, 1000)
    return (frame.pts or 0) * base.numerator * NS_PER_S // base.denominator


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error).lower()
