"""The stage: `mien run --out web --out timings:latency.csv`."""

from pathlib import Path

from mien.frames import AudioFrame, VideoFrame
from mien.stage import Context, Output


class TimingsOutput(Output):
    """Writes one line per picture: its number and its latency in ms."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    async def open(self, context: Context) -> None:
        self._clock = context.clock
        self._file = self._path.open("w")

    async def video(self, frame: VideoFrame) -> None:
        self._file.write(f"{frame.index},{(self._clock.now_ns() - frame.capture_ns) / 1e6:.3f}\n")

    async def audio(self, frame: AudioFrame) -> None:
        pass

    async def close(self) -> None:
        self._file.close()
