"""Libraries of the system that Python packages load: missing ones, and the command that brings them."""

from __future__ import annotations

import re

_MISSING = re.compile(r"(?P<library>lib[\w.+-]+\.so[\w.]*): cannot open shared object file")

_SAID_OTHERWISE = {"PortAudio library not found": "libportaudio.so.2"}
"""What packages that look for a library themselves say -> its name."""

_PACKAGES = {
    "libGL.": "libgl1 libglib2.0-0",
    "libGLX": "libgl1 libglib2.0-0",
    "libglib-2.0.": "libgl1 libglib2.0-0",
    "libgthread-2.0.": "libgl1 libglib2.0-0",
    "libEGL.": "libegl1 libgles2",
    "libGLESv2.": "libegl1 libgles2",
    "libportaudio.": "libportaudio2",
}
"""What a library's name begins with -> its packages on Debian; OpenCV with windows needs both of the first."""


def library_in(text: str) -> str:
    """Name of the shared library that `text`, an error's words, says is missing; empty when it says no such thing."""
    if found := _MISSING.search(text):
        return found["library"]
    return next((library for words, library in _SAID_OTHERWISE.items() if words in text), "")


def missing_library(error: BaseException) -> str:
    """Name of the shared library whose absence is behind `error`, as Linux' loader words it; else empty."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ImportError | OSError) and (library := library_in(str(cause))):
            return library
        cause = cause.__cause__ or cause.__context__
    return ""


def install_line(library: str) -> str:
    """The command that brings `library`; where nobody knows it, the one that finds its package."""
    for beginning, packages in _PACKAGES.items():
        if library.startswith(beginning):
            return f"sudo apt install {packages}"
    return f"apt-file search {library}  # then install that package"
