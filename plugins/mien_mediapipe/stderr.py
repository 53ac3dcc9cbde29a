"""Keeps the chatter of MediaPipe's C++ libraries off the user's terminal.

TensorFlow Lite and absl write to file descriptor 2 while a graph is being set up, before any logging
switch of theirs takes effect; no environment variable silences all of it.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTER = re.compile(
    rb"inference_feedback_manager"
    rb"|All log messages before absl::InitializeLog"
    rb"|Created TensorFlow Lite XNNPACK delegate"
    rb"|^[IW]\d{4} [\d:.]+ +\d+ \S+\.(?:cc|cpp|h):\d+\]"
)
_LOCK = threading.Lock()


@contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, then pass on all lines that are not chatter.

    The descriptor belongs to the whole process, so this is only for the short moments of setting up a
    graph; what other threads write meanwhile arrives late, not never. After an exception every line is
    passed on. Threads take turns.
    """
    with _LOCK, tempfile.TemporaryFile() as held:
        try:
            real = os.dup(2)
        except OSError:  # no stderr at all (a service, pythonw): nothing to keep clean
            yield
            return
        failed = True
        os.dup2(held.fileno(), 2)
        try:
            yield
            failed = False
        finally:
            os.dup2(real, 2)
            os.close(real)
            held.seek(0)
            for line in held:
                if failed or not _CHATTER.search(line):
                    os.write(2, line)
