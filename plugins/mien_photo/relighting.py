"""The portrait in another light: brighter or darker, more so on one side, a little warmer or colder.

What changed of the light comes with each frame (`mien.face.light.relative_light`). On the face each vertex takes what
the change gives its normal; hair, neck and shoulders, whose normals nobody knows, take what the face takes on
average. The colour of the change is one for the whole person: two lamps of different colours are rare, and a face
that is half red is the first thing that a viewer doubts.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from mien.face.light import HARMONIC_SCALE, front, harmonics
from mien.frames import Float
from mien_photo.luma import LUMA

_FRONT = harmonics(front()).mean(axis=0)
_DARKEST = np.float32(0.6)
"""Less and the shadows of a compressed portrait show its blocks."""
_BRIGHTEST = 1.6
_LEAST_BRIGHTEST = 1.1
_WHITE = 240.0
"""Where the brightest skin of the portrait may come."""
_DEEP, _PALE, _RETURN = 150.0, 225.0, 2.5
"""Brightness of skin from which on its colour pales in highlights, at which it is pale, and the power then."""
_CAST = 0.09
"""Log of the most that one colour is changed against brightness: an evening lamp, not a coloured one."""
_SAME = 2e-3
"""Less than half a grey level."""


@dataclass(frozen=True, slots=True)
class Relight:
    """form: (9,) see `polynomial`: factors by normal, in camera space. around: their mean over the front, held within
    limits. brightest: the most that they may be. tint: (3,) factors of red, green and blue.
    """

    form: Float
    around: np.float32
    brightest: np.float32
    tint: Float


_STRAIGHT = np.eye(9, dtype=np.float32)[0]
AS_IT_IS = Relight(_STRAIGHT, np.float32(1), np.float32(_BRIGHTEST), np.ones(3, np.float32))


def polynomial(light: Float) -> Float:
    """light: (9,) -> (9,) float32 coefficients of 1, x, y, z, xy, yz, zz, zx, xx - yy: the shading by unit normal."""
    y1, z1, x1, xy, yz, zz, xz, xx = (light * HARMONIC_SCALE)[1:].tolist()
    constant = float(light[0] * HARMONIC_SCALE[0]) - zz
    return np.array([constant, x1, y1, z1, xy, yz, 3 * zz, xz, xx], np.float32)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a portrait bears. brightest: by how much its skin may be brightened. hue: (3,) the skin's colours against
    its brightness, to a power that is the higher the more the photographer's highlights have paled it: in less light
    its colour comes back.
    """

    brightest: float
    hue: Float

    @classmethod
    def of(cls, skin: Float) -> Exposure:
        """skin: (P, 3) 0 to 255, colours of the portrait's skin where it is well seen."""
        if not len(skin):
            return cls(_LEAST_BRIGHTEST, np.ones(3, np.float32))
        bright = float(np.percentile(skin.max(axis=1), 95))
        usual = np.maximum(np.median(skin, axis=0), 1)
        pale = np.clip((float(usual @ LUMA) - _DEEP) / (_PALE - _DEEP), 0, 1)
        hue = (usual / float(usual @ LUMA)) ** (_RETURN * pale)
        return cls(
            float(np.clip(_WHITE / max(bright, 1.0), _LEAST_BRIGHTEST, _BRIGHTEST)),
            np.asarray(hue, np.float32),
        )


def relight(light: Float, exposure: Exposure) -> Relight | None:
    """light: (9, 3), relative to the portrait's, see `FaceParams.light` -> what to do; None where nothing changes."""
    if not light.any() or not np.isfinite(light).all():
        return None
    mean = np.maximum(_FRONT @ light, 0.05)
    bright = float(mean @ LUMA)
    form, brightest = polynomial(light @ LUMA), np.float32(exposure.brightest)
    around = limited(np.float32(bright), brightest)
    tint = np.exp(_CAST * np.tanh(np.log(mean / bright) / _CAST))
    flat = np.abs(form[1:]).max() < _SAME
    if flat and abs(around - 1) < _SAME and np.abs(tint - 1).max() < _SAME:
        return None
    return Relight(form, np.float32(around), brightest, tint.astype(np.float32))


@njit("f4(f4,f4)", cache=True, nogil=True, fastmath=True)
def limited(value: np.float32, brightest: np.float32) -> np.float32:
    """A factor, held softly below `brightest` and above what a portrait bears; near 1 it stays as it is."""
    one = np.float32(1)
    if value >= one:
        room = brightest - one
        return np.float32(one + room * np.tanh((value - one) / room))
    room = one / _DARKEST - one
    return np.float32(one / (one + room * np.tanh((one / max(value, np.float32(0.02)) - one) / room)))
