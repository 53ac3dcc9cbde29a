"""The light on a face that is tracked live, and the colours of its skin.

Each frame: the colours at some hundreds of landmarks that lie on open skin (`lightpoints`), and the light under which
the person's albedo shows them (`mien.face.light` has the model of light), robustly, smoothed. On the way of getting to
know a person: the albedo at these points, from key frames, light and albedo in turns.

Only the product of albedo and light shows in a picture. What decides: faces are coloured alike on both sides, far
from what was seen like the average face, and the light while the person was met is white and of brightness 1 on
average, as in offline tracking (`offline.bundle`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from mien.clock import NS_PER_S
from mien.face.camera import rotation_matrix
from mien.face.filtering import GatedFilter, Smoothing
from mien.face.fitting import Fit
from mien.face.light import COEFFICIENTS, ambient
from mien.face.lighting_kernels import observe, solve
from mien.face.lightpoints import LightPoints, across_px
from mien.face.model import FaceModel
from mien.face.normals import area_normals
from mien.frames import Bytes, Float

_FIRMNESS = np.float32(0.004)
_REACH = 0.02
"""Arm of the cross that a colour is averaged over, as a share of the distance of the eye corners."""
_SMOOTHING = Smoothing(noise=0.004, time_s=0.25)
_LONGEST_GAP_S = 0.5
_LEAST_SEEN = 60.0
"""Weight of the points in sight below which a frame says nothing about light."""
_CALM, _LATER = 8, 8
"""Key frames: from the time when the person was met, and the latest ones after it."""
_ROUNDS = 2
_DRAW = 0.5
"""Key frames that the colour of the other side of the face counts for."""
_DARKEST, _LIGHTEST = 0.01, 1.2
_BRIGHTNESS = 0.1, 4.0


@dataclass(slots=True)
class _View:
    """What one frame shows at the points; see `lighting_kernels.observe`."""

    basis: Float
    colours: Float
    share: Float
    light: Float


class Lighting:
    """Of one person. Not thread-safe.

    rest: (9, 3), the light in which the person was met; zeros before `learn`.
    """

    def __init__(self, model: FaceModel) -> None:
        self._points = points = LightPoints.of(model)
        count = len(points.chosen)
        self.albedo = points.paint.average.copy()
        self.rest = np.zeros((COEFFICIENTS, 3), np.float32)
        self._seen = np.zeros(count, np.float32)
        self._calm: list[_View] = []
        self._later: deque[_View] = deque(maxlen=_LATER)
        self._trusted = np.zeros(count, np.float32)
        self._view = self._empty()
        self._filter = GatedFilter(3 * COEFFICIENTS, _SMOOTHING, joint=True)
        self._capture_ns: int | None = None
        self._light = self.rest

    def see(self, pixels: Bytes, points: Float, posed: Float, fit: Fit, capture_ns: int) -> Float:
        """The light (9, 3) float32 of a frame: read-only, the last one where the picture says nothing.

        pixels: (H, W, 3) uint8; points: (478, 2 or 3) px; posed: (478, 3) cm, the person's landmarks in that frame,
        head space; fit: where the head is.
        """
        view, where = self._view, self._points
        observe(
            np.ascontiguousarray(pixels), np.ascontiguousarray(points[:, :2], np.float32),
            posed, area_normals(posed, where.triangles), where.chosen, where.weight,
            rotation_matrix(fit.rotation), fit.translation,
            np.float32(_REACH * across_px(points)), view.basis, view.colours, view.share,
        )  # fmt: skip
        if view.share.sum() < _LEAST_SEEN:
            return self._light
        self._solve(view)
        elapsed_s = 0.0 if self._capture_ns is None else (capture_ns - self._capture_ns) / NS_PER_S
        if not 0 < elapsed_s < _LONGEST_GAP_S:
            self._filter.restart()
        self._capture_ns = capture_ns
        self._light = self._filter(view.light.reshape(-1), max(elapsed_s, 0.0)).reshape(COEFFICIENTS, 3)
        self._light.setflags(write=False)
        return self._light

    def keep(self, *, calm: bool) -> None:
        """Learn from the frame that was seen last. calm: it also tells the light in which the person was met."""
        view, fresh = self._view, self._empty()
        if view.share.sum() < _LEAST_SEEN:
            return
        if not calm:
            self._later.append(view)
        elif len(self._calm) < _CALM:
            self._calm.append(view)
        else:
            return
        fresh.light[:] = view.light
        self._view = fresh

    def learn(self) -> bool:
        """Estimate the albedo, and with it the light of the key frames, anew; whether there was any to do it from."""
        if not self._calm:
            return False
        views = [*self._calm, *self._later]
        for _ in range(_ROUNDS):
            over, under = np.zeros_like(self.albedo), np.full(self.albedo.shape, 1e-6, np.float32)
            for view in views:
                self._solve(view)
                shading = view.basis @ view.light
                weight = self._trusted[:, None]
                over += weight * shading * view.colours
                under += weight * shading * shading
            self._seen = np.asarray(under.min(axis=1) / len(views), np.float32)
            firm = under.mean() / len(views) * _DRAW
            both = (over + over[self._points.twin]) / (under + under[self._points.twin])
            unknown = np.minimum(under / firm, 1)
            both = self._points.paint.average * self._tint() * (1 - unknown) + both * unknown
            self.albedo = np.clip((over + firm * both) / (under + firm), _DARKEST, _LIGHTEST).astype(
                np.float32
            )
            self._fix_brightness(views)
        self.rest = np.mean([view.light for view in self._calm], axis=0).astype(np.float32)
        self.rest.setflags(write=False)
        self._view.light[:] = 0
        self._filter.restart()
        return True

    def reflectance(self) -> Float:
        """(78,) float32, see `mien.face.reflectance`: what of the colours these fields can paint. Read-only."""
        coefficients = self._points.paint.coefficients(self.albedo, self._seen)
        coefficients.setflags(write=False)
        return coefficients

    def _tint(self) -> Float:
        """(3,) by how much the skin's colour differs from the average person's."""
        return np.asarray(np.median(self.albedo / self._points.paint.average, axis=0), np.float32)

    def _fix_brightness(self, views: list[_View]) -> None:
        mean = np.mean([view.light[0] for view in self._calm], axis=0) / ambient()[0]
        gain = np.clip(mean, *_BRIGHTNESS).astype(np.float32)
        self.albedo *= gain
        for view in views:
            view.light /= gain

    def _solve(self, view: _View) -> None:
        rest = self.rest if self.rest.any() else ambient()
        solve(view.basis, view.colours, view.share, self.albedo, rest, _FIRMNESS, view.light, self._trusted)

    def _empty(self) -> _View:
        count = len(self._points.chosen)
        sizes: tuple[tuple[int, ...], ...] = ((count, 9), (count, 3), (count,), (9, 3))
        basis, colours, share, light = (np.zeros(size, np.float32) for size in sizes)
        return _View(basis, colours, share, light)
