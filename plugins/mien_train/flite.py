"""English speech with the times of its phonemes from the program flite, whose voices were built from people's
recordings (CMU Flite, a BSD-like licence): nearer to real speech than espeak-ng's, but only four.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from mien.drive.speech import Phoneme
from mien.errors import PluginError
from mien_train.espeak import Utterance
from mien_train.phonetics import arpabet

VOICES = ("slt", "rms", "awb", "kal16")
_PITCH_HZ = {"slt": 165, "rms": 100, "awb": 125, "kal16": 105}


class Flite:
    """Raises `PluginError` when the program is not there."""

    def __init__(self) -> None:
        program = shutil.which("flite")
        if program is None:
            raise PluginError("flite is missing. Install it with: sudo apt install flite")
        self._program = program

    def say(
        self, text: str, voice: str, *, stretch: float = 1.0, pitch: float = 1.0
    ) -> tuple[Utterance, list[Phoneme]]:
        """stretch: of durations; pitch: of the voice's usual one. Returns the sound (its `sounds` are empty) and what
        it looks like.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "said.wav"
            done = subprocess.run(  # noqa: S603 - found above
                [
                    self._program, "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}",
                    "--setf", f"int_f0_target_mean={_PITCH_HZ[voice] * pitch:.1f}", "-psdur", "-t", text,
                    "-o", str(file),
                ],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            rate, pcm = wavfile.read(file)
        ends = [(name, float(end)) for name, end in re.findall(r"(\S+):([\d.]+)", done.stdout)]
        return Utterance((pcm / 32768).astype(np.float32), rate, ()), arpabet(ends)
