"""Light as nine numbers per colour: real spherical harmonics up to the second order.

A distant, unshadowed environment on a Lambertian surface (Ramamoorthi and Hanrahan 2001, "An efficient
representation for irradiance environment maps", equations 3 to 9): the colour of a point is

    albedo * shading(normal),   shading(n) = sum_k A_k / pi * light_k * Y_k(n),

with A = pi, 2 pi / 3, pi / 4 for the bands 0, 1, 2. `light` (9, 3) holds the radiance coefficients of the
environment per colour, in camera space (x right, y up, z towards the camera), in the order Y00, Y1-1 (y), Y10 (z),
Y11 (x), Y2-2 (xy), Y2-1 (yz), Y20 (3z2 - 1), Y21 (xz), Y22 (x2 - y2).

Colours are display values divided by 255, not linear light: that is what every face tracker of this kind fits, and
the product of albedo and shading holds for a gamma curve too; only the shape of the shading is approximate.
"""

from __future__ import annotations

import numpy as np

from mien.frames import Float

COEFFICIENTS = 9

HARMONIC_SCALE = np.array(
    # sqrt(1 / 4 pi), sqrt(3 / 4 pi), sqrt(15 / 4 pi), sqrt(5 / 16 pi), sqrt(15 / 16 pi); each times A_k / pi
    [
        0.282095, *3 * (0.488603 * 2 / 3,), *2 * (1.092548 / 4,),
        0.315392 / 4, 1.092548 / 4, 0.546274 / 4,
    ],
    np.float32,
)  # fmt: skip
"""(9,) what each polynomial in the normal is multiplied with in `harmonics`."""
_AMBIENT = float(1 / HARMONIC_SCALE[0])
_ROUNDS = 4
_NOISE = 0.06
"""Difference in colour at which a pixel begins to count less: shadows, highlights, hair."""


def harmonics(normals: Float) -> Float:
    """normals: (..., 3) unit, camera space -> (..., 9) float32: `harmonics(n) @ light` is the shading."""
    x, y, z = normals[..., 0], normals[..., 1], normals[..., 2]
    one = np.ones_like(x)
    bands = [one, y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
    return np.asarray(np.stack(bands, axis=-1) * HARMONIC_SCALE, np.float32)


def shade(albedo: Float, normals: Float, light: Float) -> Float:
    """albedo: (..., 3) in [0, 1], normals: (..., 3) unit, camera space, light: (9, 3) -> colour (..., 3)."""
    return np.asarray(albedo * (harmonics(normals) @ light), np.float32)


def ambient(brightness: float = 1.0) -> Float:
    """(9, 3) float32: white light from everywhere under which a surface shows `brightness` times its albedo."""
    light = np.zeros((COEFFICIENTS, 3), np.float32)
    light[0] = _AMBIENT * brightness
    return light


def estimate_light(
    normals: Float, albedo: Float, colours: Float, *, before: Float | None = None, firmness: float = 0.003
) -> Float:
    """The light (9, 3) float32 that makes `albedo` look like `colours`.

    normals: (P, 3) unit, camera space; albedo, colours: (P, 3) in [0, 1], of P visible points. Linear least squares
    per colour; points that disagree (cast shadows, highlights, hair) lose their say by iterative reweighting with
    the Cauchy weight. `before`: the light that what the points don't determine is drawn to, white ambience without
    it; `firmness`: how strongly, as a share of the points' own weight. Raises `ValueError` when there are no points.
    """
    if not len(normals):
        raise ValueError("no points to estimate the light from")
    basis = harmonics(normals).astype(np.float64)
    if before is None:
        lit = basis[:, :1] * _AMBIENT * albedo
        gain = (lit * colours).sum(axis=0) / np.maximum((lit * lit).sum(axis=0), 1e-9)
        before = ambient() * gain
    light = np.array(before, np.float64)
    weight = np.ones(len(normals))
    for round_ in range(_ROUNDS):
        for channel in range(3):
            rows = basis * albedo[:, channel : channel + 1]
            weighted = rows * weight[:, None]
            matrix = rows.T @ weighted
            ridge = firmness * np.trace(matrix) * np.eye(COEFFICIENTS)
            target = weighted.T @ colours[:, channel] + ridge @ before[:, channel]
            light[:, channel] = np.linalg.solve(matrix + ridge + 1e-9 * np.eye(COEFFICIENTS), target)
        if round_ < _ROUNDS - 1:
            off = np.abs(colours - albedo * (basis @ light)).mean(axis=1)
            weight = 1 / (1 + (off / _NOISE) ** 2)
    return np.asarray(light, np.float32)


def front(count: int = 96, least: float = 0.2) -> Float:
    """(count, 3) float32: unit normals spread evenly over what faces the camera, z at least `least`."""
    z = 1 - (1 - least) * (np.arange(count) + 0.5) / count
    around = np.arange(count) * (np.pi * (3 - np.sqrt(5)))
    side = np.sqrt(1 - z * z)
    return np.asarray(np.stack([side * np.cos(around), side * np.sin(around), z], axis=1), np.float32)


_FRONT = harmonics(front())
_PROJECT = np.linalg.solve(
    _FRONT.T @ _FRONT + 1e-3 * np.trace(_FRONT.T @ _FRONT) * np.eye(COEFFICIENTS), _FRONT.T
).astype(np.float32)
"""(9, N): from values on the front to the light that shades a white ball nearly so; harmonics aren't orthogonal on
half a sphere, and what it doesn't show stays small."""
_LEAST_LIT = 0.2
"""Of the mean shading: deeper shadow is the noise of an estimate."""
_MOST = 1.2
"""Log of the most that one light is taken to be brighter than another."""


def relative_light(now: Float, rest: Float, strength: float = 1.0) -> Float:
    """(9, 3) float32: the light under which a white ball in ambient light of 1 changes as a face does from the light
    `rest` to the light `now` (both (9, 3)); `ambient()` where nothing changed. strength: 0 to 1, how far it goes.

    The shading's ratio (Liu et al. 2001, "Expressive expression mapping with ratio images") over what faces the camera.
    """
    shaded, before = _FRONT @ now, _FRONT @ rest
    least = np.maximum(_LEAST_LIT * before.mean(axis=0), 1e-4)
    change = np.log(np.maximum(shaded, least) / np.maximum(before, least))
    ratio = np.exp(strength * np.clip(change, -_MOST, _MOST))
    mean = ratio.mean(axis=0)
    light = _PROJECT @ (ratio - mean)
    light[0] += mean * _AMBIENT
    return np.asarray(light, np.float32)
