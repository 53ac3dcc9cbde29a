"""Whom a face of any model looks like, in the identity modes of the built-in one."""

from __future__ import annotations

import numpy as np

from mien.face.assets import BUILT_IN
from mien.face.landmark_basis import LandmarkBasis
from mien.face.model import load_model
from mien.face.similarity import similarity
from mien.face.subject import Subject
from mien.frames import Float

_PRIOR = 0.0003
"""Squared cm per landmark and squared standard deviation: what landmarks of other models are mistaken by."""
_ROUNDS = 3


def built_in_identity(subject: Subject) -> Float:
    """(I,) float32, standard deviations along the modes of `mien-head`.

    A face of another model is laid over `mien-head` by its landmarks, which all models have: a similarity
    (Umeyama 1991), refined together with the modes that explain the rest. Raises `MienError` where the subject's model
    isn't installed.
    """
    if subject.model == BUILT_IN:
        return subject.identity
    theirs, ours = LandmarkBasis.of(load_model(subject.model)), LandmarkBasis.of(load_model(BUILT_IN))
    weight = np.minimum(theirs.trust, ours.trust)
    face = theirs.shape(subject.identity, subject.offsets)
    # The average face of a model is average, however its makers' people or landmarks differ from ours.
    return _explained(face, ours, weight) - _explained(theirs.mean, ours, weight)


def _explained(face: Float, ours: LandmarkBasis, weight: Float) -> Float:
    """(478, 3) cm -> (I,) the modes that make it of the built-in mean, together with a similarity."""
    scale, rotation, shift = similarity(face, ours.mean, weight)
    laid = scale * face @ rotation.T + shift
    modes, root = len(ours.identity), np.sqrt(weight)[:, None]
    prior = np.zeros(modes + 7, np.float32)
    prior[:modes] = _PRIOR * weight.sum()
    for _ in range(_ROUNDS):
        # How the laid face would turn, shift and grow: solved for together with what the modes explain.
        turns = [np.cross(axis, laid) for axis in np.eye(3)]
        shifts = [np.broadcast_to(axis, laid.shape) for axis in np.eye(3)]
        columns = np.stack([*ours.identity, *(-one for one in (*turns, *shifts, laid))])
        rows = (root * columns).reshape(modes + 7, -1)
        solved = np.linalg.solve(
            rows @ rows.T + np.diag(prior), rows @ (root * (laid - ours.mean)).reshape(-1)
        )
        turn, shift, growth = solved[modes : modes + 3], solved[modes + 3 : modes + 6], solved[-1]
        laid = laid + np.cross(turn, laid) + shift + growth * laid
    return np.asarray(solved[:modes], np.float32)
