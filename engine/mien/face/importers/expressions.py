"""mien-head's 52 shapes carried over to another model, and said in that model's own expression basis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.face.importers.raw import RawModel
from mien.face.importers.registration import Registration
from mien.face.importers.surface import Doubles, Surface
from mien.face.model import ExpressionMapping, FaceModel, Region
from mien.face.rig import ARKIT_NAMES
from mien.frames import EXPRESSIONS, Float

SKIN = (Region.FACE, Region.HEAD, Region.NECK, Region.MOUTH_SOCKET)
MOST_ERROR, MOST_BLINK_ERROR = 0.5, 0.2
"""A shape of which the own basis misses more than this is taken from mien-head: lids that do not close, for one."""
_WHOLE_CM, _NONE_CM = 0.6, 2.0
_RIDGE = 1e-3
"""Of a mode's mean square: what hardly moves anything isn't used in amounts that nobody has."""
_JAW_STEP = 0.02
_JAW_ROUNDS = 5


def over(head: FaceModel, registration: Registration) -> tuple[Surface, NDArray[np.int64]]:
    """The registered mien-head's skin as a surface, and which of its triangles these are."""
    chosen = np.flatnonzero(np.isin(head.triangle_region, SKIN))
    return Surface(registration.points, head.triangles[chosen]), chosen


def carried(head: FaceModel, registration: Registration, points: Doubles, facing: Doubles) -> Float:
    """mien-head's shapes at points (V, 3) with normals of the other model -> (52, V, 3) float32, cm."""
    surface, _ = over(head, registration)
    near = surface.nearest(points, facing)
    share = ((_NONE_CM - near.distance) / (_NONE_CM - _WHOLE_CM)).clip(0, 1)
    weights = (near.weights * (share**2 * (3 - 2 * share))[:, None]).astype(np.float32)
    corners = surface.triangles[near.triangle]
    result = np.empty((EXPRESSIONS, len(points), 3), np.float32)
    for k, shape in enumerate(head.expression):
        result[k] = (registration.turned(shape)[corners] * weights[:, :, None]).sum(axis=1)
    return result


def mapped(raw: RawModel, wanted: Float, skin: NDArray[np.bool_]) -> tuple[Float, ExpressionMapping | None]:
    """The 52 shapes of `raw` in its own basis, as near to `wanted` (52, V, 3) as that comes on `skin` (V,).

    Linear least squares; where the jaw is a joint, its turn is sought too for the shapes of the jaw
    (Gauss-Newton). Without an own basis `wanted` itself, and None.
    """
    if not len(raw.expression):
        return wanted, None
    basis = raw.expression[:, skin].reshape(len(raw.expression), -1).astype(np.float64)
    ridge = _RIDGE * float((basis**2).sum(axis=1).mean())
    solver = np.linalg.inv(basis @ basis.T + ridge * np.eye(len(basis))) @ basis
    jaw = 0 if raw.jaw is None else 3
    to_own = np.zeros((EXPRESSIONS, len(basis) + jaw), np.float32)
    shapes = np.empty_like(wanted)
    error = np.zeros(EXPRESSIONS, np.float32)
    for k, name in enumerate(ARKIT_NAMES):
        aim = wanted[k, skin].ravel().astype(np.float64)
        turn = np.zeros(3)
        if raw.jaw is not None and name.startswith("jaw"):
            turn = _turn(raw, basis, ridge, aim, skin)
        turned = np.zeros_like(wanted[k]) if raw.jaw is None else raw.jaw.moved(turn)
        left = aim - turned[skin].ravel()
        amount = solver @ left
        shapes[k] = turned + np.tensordot(amount.astype(np.float32), raw.expression, 1)
        error[k] = np.linalg.norm(shapes[k, skin].ravel() - aim) / max(float(np.linalg.norm(aim)), 1e-6)
        to_own[k] = np.concatenate([amount, turn[:jaw]])
    taken = error > [MOST_BLINK_ERROR if name.startswith("eyeBlink") else MOST_ERROR for name in ARKIT_NAMES]
    shapes[taken] = wanted[taken]
    units = [basis]
    if raw.jaw is not None:
        units.append(
            np.stack([raw.jaw.moved(turn)[skin].ravel() for turn in _JAW_STEP * np.eye(3)]) / _JAW_STEP
        )
    names = raw.expression_names + (("jaw_x", "jaw_y", "jaw_z") if jaw else ())
    mapping = ExpressionMapping(
        names=names,
        to_own=to_own,
        from_own=_back(np.concatenate(units), shapes[:, skin].reshape(EXPRESSIONS, -1).astype(np.float64)),
        error=error,
        taken=tuple(name for name, too_much in zip(ARKIT_NAMES, taken, strict=True) if too_much),
    )
    return shapes, mapping


def _turn(raw: RawModel, basis: Doubles, ridge: float, aim: Doubles, skin: NDArray[np.bool_]) -> Doubles:
    """The turn of the jaw (3,), radians, that with the expression basis comes closest to `aim` (3S,)."""
    if raw.jaw is None:
        return np.zeros(3)
    turn = np.zeros(3)
    for _ in range(_JAW_ROUNDS):
        now = raw.jaw.moved(turn)[skin].ravel()
        steps = [
            (raw.jaw.moved(turn + step)[skin].ravel() - now) / _JAW_STEP for step in _JAW_STEP * np.eye(3)
        ]
        rows = np.concatenate([np.stack(steps), basis])
        calm = np.concatenate([np.full(3, 1e-6), np.full(len(basis), ridge)])
        turn = turn + np.linalg.solve(rows @ rows.T + np.diag(calm), rows @ (aim - now))[:3]
    return turn


def _back(own: Doubles, shapes: Doubles) -> Float:
    """own: (K, 3S), shapes: (52, 3S) -> (K, 52) ARKit weights that come closest to one unit of each of `own`."""
    ridge = 1e-2 * float((shapes**2).sum(axis=1).mean())
    return np.linalg.solve(shapes @ shapes.T + ridge * np.eye(len(shapes)), shapes @ own.T).T.astype(
        np.float32
    )
