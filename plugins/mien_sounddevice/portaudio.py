"""PortAudio as one process has it: the library, its list of devices, its streams."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from mien.errors import DeviceError, PluginError
from mien_sounddevice.devices import Device, Direction, devices_of

INSTALL = "sudo apt install libportaudio2"
"""Linux only: the packages for macOS and Windows bring the library along."""


class Stream(Protocol):
    """What is used of `sounddevice.InputStream` and `OutputStream`."""

    @property
    def samplerate(self) -> float: ...

    @property
    def latency(self) -> float: ...

    def start(self) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...


class Backend(Protocol):
    """What is used of the module `sounddevice`; tests bring one of their own."""

    PortAudioError: type[Exception]

    @property
    def default(self) -> Any: ...

    def query_devices(self) -> Sequence[Mapping[str, Any]]: ...

    def query_hostapis(self) -> Sequence[Mapping[str, Any]]: ...

    def InputStream(self, **options: Any) -> Stream: ...  # noqa: N802 - PortAudio's name

    def OutputStream(self, **options: Any) -> Stream: ...  # noqa: N802

    def _initialize(self) -> None: ...

    def _terminate(self) -> None: ...


class PortAudio:
    """The library, one for a process. Thread-safe; every call may take a while, so keep them off the event loop.

    Its list of devices is as old as its initialisation. What was plugged in since is seen by ending it and
    beginning anew, which would end every stream: so that is done while there is none.
    """

    def __init__(self, load: Callable[[], Backend]) -> None:
        self._load = load
        self._loaded: Backend | None = None
        self._streams = 0
        self._fresh = False
        self._lock = threading.RLock()

    def devices(self, direction: Direction) -> list[Device]:
        """What records or plays just now, in PortAudio's order. Raises `PluginError` without the library."""
        return self.both()[direction]

    def both(self) -> dict[Direction, list[Device]]:
        """What records and what plays just now, looked for once. Raises `PluginError` without the library."""
        with self._lock:
            backend = self._backend()
            self._refresh(backend)
            return {"input": devices_of(backend, "input"), "output": devices_of(backend, "output")}

    def open(
        self,
        direction: Direction,
        device: Device,
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Stream:
        """A stream of `device`, not started; `close` gives it back. options: as sounddevice's streams take them.

        environment: variables that the system's sound library reads while a stream is opened.
        Raises `DeviceError`.
        """
        with self._lock:
            backend = self._backend()
            make = backend.InputStream if direction == "input" else backend.OutputStream
            try:
                with _environment(environment or {}):
                    stream = make(device=device.number, dtype="float32", **options)
            except (backend.PortAudioError, ValueError, OSError) as error:
                raise DeviceError(_why(direction, device, options, error)) from error
            self._streams += 1
            return stream

    def start(self, stream: Stream, device: Device) -> None:
        """Let sound flow. Raises `DeviceError`."""
        backend = self._backend()
        try:
            stream.start()
        except backend.PortAudioError as error:
            raise DeviceError(f"{device.name} does not start: {_words(error)}. Plug it in again.") from error

    def close(self, stream: Stream) -> None:
        """End a stream at once; one whose device has gone ends as well."""
        backend = self._backend()
        try:
            try:
                stream.abort()
            finally:
                stream.close()
        except backend.PortAudioError:
            pass  # it went with its device
        finally:
            with self._lock:
                self._streams -= 1
                self._fresh = False

    def _backend(self) -> Backend:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
                self._fresh = True
            return self._loaded

    def _refresh(self, backend: Backend) -> None:
        if not self._streams and not self._fresh:
            backend._terminate()
            backend._initialize()
        self._fresh = False


def _load() -> Backend:
    _hush_alsa()
    try:
        import sounddevice
    except OSError as error:
        raise PluginError(
            f"The system's PortAudio library (libportaudio.so.2) is missing. Install it with: {INSTALL}"
        ) from error
    except Exception as error:  # it has no other name before it is there
        raise DeviceError(f"PortAudio does not start: {error}. Start the sound server.") from error
    backend: Backend = sounddevice
    return backend


SYSTEM = PortAudio(_load)
"""PortAudio keeps its state for the whole process, so there is one of these as well."""


_HANDLER = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)


def _silent(*_: Any) -> None:
    """ALSA's error handler that says nothing."""


_silent_handler = _HANDLER(_silent)  # ALSA keeps the pointer


def _hush_alsa() -> None:
    """Looking for devices, ALSA complains on stderr of each that its configuration names and that is not there."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_silent_handler)
    except (OSError, AttributeError):
        return


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set for a moment what libpulse and PipeWire read; `os.environ` reaches them, a copy of it would not."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _why(direction: Direction, device: Device, options: Mapping[str, Any], error: Exception) -> str:
    words = _words(error)
    what = "microphone" if direction == "input" else "sound device"
    if "sample rate" in words.lower():
        return (
            f"The {what} {device.name} cannot be opened at {options.get('samplerate', 0):g} Hz; it prefers "
            f"{device.rate} Hz. Set plugin.sounddevice.rate = 0 to use that."
        )
    return f"The {what} {device.name} cannot be opened: {words}. Close the program that uses it, or name another one."


def _words(error: Exception) -> str:
    """PortAudio's sentence without its numbers: `Error opening InputStream: Device unavailable [PaErrorCode -9985]`."""
    text = str(error).partition(" [PaErrorCode")[0]
    return " ".join(text.rpartition("Stream: ")[2].split()).rstrip(".") or type(error).__name__
