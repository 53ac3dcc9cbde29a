"""The fine motion of the driver's skin, on its way to the avatar's.

It is relative to the driver's face at rest, in cm, and faces are alike in size. An avatar that is the driver's own
portrait takes it as it is; on another face brows, lips and hair lie elsewhere by half a centimetre, so what is finer
than that is left out, and so is all that is not skin. It fades where the driver isn't seen or wanted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.controls import Controls
from mien.drive.following import Following
from mien.errors import MienError
from mien.face.chart import Chart
from mien.face.landmark_basis import MESH, LandmarkBasis
from mien.face.model import load_model
from mien.face.retargeting import mirrored_detail
from mien.face.subject import Subject
from mien.frames import DETAIL, FaceParams, Float

_FOLLOW_S, _LEAVE_S = 0.012, 0.25
"""Followed at once but for a first frame that would jump, left slowly."""
_NEAR_CM = 1e-3
_AT_REST = np.zeros(DETAIL, np.float32)
_MOST_STRENGTH = 1.5
"""Skin that slides further than that over the bones is no exaggeration any more."""
_SAME_CM, _OTHER_CM = 0.10, 0.15
"""How far landmarks of two faces lie apart that are, and aren't, the same person's: seen apart in two pictures,
one's differ by 0.07, those of people who are alike by 0.17 or more."""
_OTHERS_SHARE = 0.7
_TYPICAL_CM = 5.0
_FIRM = 0.5


def kinship(one: Subject, other: Subject) -> float:
    """0 to 1, whether two subjects are the same person, by the shape of the face seen from the front. Of two face
    models nothing is known.
    """
    if one.model != other.model:
        return 0.0
    apart = _front(one) - _front(other)
    distance = float(np.sqrt((apart**2).sum(axis=1).mean()))
    return min(max((_OTHER_CM - distance) / (_OTHER_CM - _SAME_CM), 0.0), 1.0)


def _front(subject: Subject) -> Float:
    """Landmarks, (N, 2) cm, centred, in the size of a typical face: distance and lens don't tell people apart."""
    basis = LandmarkBasis.of(load_model(subject.model))
    points = basis.shape(subject.identity, subject.offsets)[:MESH][basis.trust[:MESH] > _FIRM, :2]
    points = points - points.mean(axis=0)
    return np.asarray(points * (_TYPICAL_CM / np.sqrt((points**2).sum(axis=1).mean())), np.float32)


def coarse(detail: Float) -> Float:
    """detail: `DETAIL` -> what another face takes of it: nothing that changes from node to node (binomial, 3 by 3,
    twice), and of the rest so much that it goes on looking like itself.
    """
    smooth = (_DOWN @ detail.reshape(DETAIL[0], -1)).reshape(DETAIL)
    return np.asarray(np.matmul(_ACROSS, smooth), np.float32)


def _smoothing(count: int) -> Float:
    """(count, count): what a row of nodes is multiplied with to be smoothed twice by 1/4, 1/2, 1/4, its ends held."""
    at = np.arange(count)
    once = np.zeros((count, count))
    for step, share in ((-1, 0.25), (0, 0.5), (1, 0.25)):
        np.add.at(once, (at, np.clip(at + step, 0, count - 1)), share)
    return np.asarray(once @ once, np.float32)


_DOWN, _ACROSS = np.float32(_OTHERS_SHARE) * _smoothing(DETAIL[0]), _smoothing(DETAIL[1])


class SkinDetail:
    """Of one avatar. One caller at a time. around: `FaceParams.detail_around` of the step before."""

    def __init__(self, avatar: Subject) -> None:
        self.around = 0.0
        self._following = Following(_AT_REST, _FOLLOW_S, _LEAVE_S, _NEAR_CM)
        self._skin = np.ones((*DETAIL[:2], 1), np.bool_)
        self.set_avatar(avatar)

    def set_avatar(self, avatar: Subject) -> None:
        """Another face goes on from the next step on."""
        self._avatar = avatar
        self._known: Subject | None = None
        self._kinship = 0.0

    def step(
        self,
        seen: FaceParams | None,
        source: Subject | None,
        controls: Controls,
        mouth_share: float,
        elapsed_s: float,
    ) -> Float | None:
        """`FaceParams.detail` of the avatar, None where it is at rest.

        seen: the driver's face, None when it is not seen just now; source: whose it is; mouth_share: how much of the
        mouth a voice has.
        """
        goal, around = None, 0.0
        if seen is not None and source is not None and not controls.paused and controls.mode != "dubbing":
            goal = seen.detail
        if goal is not None and source is not None:
            kin = self._kin(source)
            plain = coarse(goal * self._skin)
            goal = plain + (goal - plain) * np.float32(kin)
            strength = min(controls.expression_strength, _MOST_STRENGTH) * (1 - mouth_share)
            around = kin * (1 - mouth_share) * (0.0 if seen is None else seen.detail_around)
            goal = (mirrored_detail(goal) if controls.mirror else goal) * np.float32(strength)
        detail = self._following.step(goal, elapsed_s)
        self.around += (around - self.around) * self._following.pace(goal, elapsed_s)
        if detail is None:
            self.around = 0.0
        return detail

    def _kin(self, source: Subject) -> float:
        if source is not self._known:
            self._known, self._skin = source, _skin_of(source)
            self._kinship = kinship(source, self._avatar) if self._skin.any() else 0.0
        return self._kinship


def _skin_of(source: Subject) -> NDArray[np.bool_]:
    """(rows, columns, 1): the nodes of the chart that lie on skin; none of a face model that isn't here, such as a
    stranger's performance may name.
    """
    nowhere = np.zeros((*DETAIL[:2], 1), np.bool_)
    try:
        model = load_model(source.model)
    except MienError:
        return nowhere
    if len(source.identity) > len(model.identity):
        return nowhere
    return Chart.of(model).skin.reshape(*DETAIL[:2], 1)
