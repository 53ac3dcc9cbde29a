"""Which Chromium the browser tests and the benchmarks use, and the engine that the benchmarks show to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

NAMES = ("chromium", "chromium-browser", "google-chrome")
HEADLESS = ("--headless=new", "--no-sandbox", "--disable-background-networking")
"""On a machine without a screen."""

LOOPBACK = ("--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns")
"""Streams from and to the same machine."""

CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
"""A camera and a microphone that are pretended and allowed."""

FLAGS = (*HEADLESS, *LOOPBACK, "--disable-gpu", "--autoplay-policy=no-user-gesture-required")
"""For a stream that is measured."""


def find_chromium() -> str:
    """Path of the browser: that in the variable CHROMIUM, else the first on the PATH; empty when there is none."""
    found = (shutil.which(name) for name in (os.environ.get("CHROMIUM", ""), *NAMES) if name)
    return next(filter(None, found), "")


@contextmanager
def engine_process(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
    """An engine in a process of its own, with its standard input and output; gone afterwards in any case."""
    engine = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert engine.stdin is not None
    assert engine.stdout is not None
    try:
        yield engine, engine.stdin, engine.stdout
    finally:
        if engine.poll() is None:
            engine.kill()
        engine.stdin.close()
        engine.stdout.close()
        engine.wait()
