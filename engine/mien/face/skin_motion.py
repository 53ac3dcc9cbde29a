"""Fine motion of the skin: where it went, told by the picture itself.

Landmarks come out of a network that knows faces, not this one: where a brow rises by five pixels they may rise by one,
and all of them wander when the head turns. So a picture of the person is kept from the time of meeting, and each frame
is laid over it: a lattice on the face's chart (`mien.face.chart`) is bent, from the landmarks on, until the frame shows
in every place the skin that it ought to (Lucas and Kanade 1981, in a window around each node, under a membrane;
coarse to fine). That gives two things:

- landmarks that stick to the skin, which pose and expression are fitted to;
- what the skin does beyond that fit: bulging cheeks, folds, a crooked smile (`FaceParams.detail`).

Every frame is compared with the kept picture, never with the one before, so nothing drifts; a frame costs 2 to 3 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.face.camera import rotation_matrix
from mien.face.chart import COLUMNS, PIXEL_CM, ROWS, Chart, weighted, with_rim
from mien.face.fitting import Fit, Fitter
from mien.face.landmark_basis import MESH
from mien.face.lips import parted
from mien.face.model import INNER_LIPS, LIDS, FaceModel
from mien.face.outline import doubled_areas
from mien.face.skin_kernels import (
    SUMS,
    accumulate,
    believe,
    even_out,
    halve,
    places,
    read,
    relax,
    shrink,
    with_slopes,
)
from mien.face.subject import Subject
from mien.frames import DETAIL, Bytes, Float

_TALL = 150
"""px that the face is shrunk to at most twice of: more would show pores, less no brow's edge."""
_MARGIN = 0.12
_EVEN = 0.2
"""Arm of the square that contrasts are taken against, as a share of the face's height."""
_DARK = np.float32(0.06)
_SCALES = (np.float32(0.5), np.float32(1.0))
_ROUNDS = (2, 2)
"""On the coarse and on the fine picture: their size, and how often the lattice is bent."""
_SWEEPS = 6
_TOLERANCE = np.float32(0.5)
_STIFFNESS = (np.float32(0.001), np.float32(0.002))
_PULL = np.float32(0.0005)
_CARRIED = np.float32(0.7)
"""How much of the frame before's bend a frame starts from: skin moves little from frame to frame, and what was found
wrong fades.
"""
_UNLIKE, _ALIKE = np.float32(0.9), np.float32(0.4)
"""Squared difference over squared contrast at which a node is not, and is, to be trusted."""
_LEAST_TRUST = np.float32(0.05)
_GRAZING, _FACING = 0.15, 0.45
"""Share of its area on the chart that a triangle shows: below it says nothing, from there on all it can."""
_MOST_CM, _MOST_RIM_CM = 0.8, 1.0
"""What skin moves beyond the expressions at most, and hair and neck beyond the pose; softly."""
_KNEE = 4
"""The higher the power, the less of what is below that is lost."""
_FIT_ROUNDS = 4
_STRANGE, _LIKE = 0.3, 0.6
"""Likeness at which a frame is not, and is, to be taken at its word: a hand before the face, a face turned away."""
_DOUBTS = 100
"""Frames in a row that look strange, after which the kept picture is exchanged."""
_RESTING_TURN, _RESTING_LIDS, _RESTING_LIPS = 0.15, 0.35, 0.12
"""Radians from the resting pose; how far lids are closed; how far lips are parted, of jawOpen."""
_RESTING_ERROR = 0.05
_PATIENCE, _IMPATIENT = 75, 2.2
"""Frames after which a face that never rests is taken as it is, more or less."""
_OWN = np.array(sorted({*INNER_LIPS, *LIDS[0], *LIDS[1]}))
"""Edges of lips and lids, which roll in and out of sight: the network knows better."""
_SHARE = 0.5
"""How far landmarks go along with their skin. Skin tells the turn of the head truly only to whom the depth of the face
is known truly, landmarks wander but turn as heads on the whole do: half of each is nearest to the truth."""
_FACE_CENTRE = np.array([0, -3, 2], np.float32)


def _at_rest(fit: Fit, subject: Subject, latitude: float) -> bool:
    """Whether a face is calm enough to be compared with: open eyes, closed lips, and seen as it mostly is.

    latitude: times the usual limits.
    """
    turned = float(np.linalg.norm(fit.rotation - subject.rest_rotation))
    lids, lips = float(fit.closed.max()), parted(fit.expression)
    off = (turned / _RESTING_TURN, lids / _RESTING_LIDS, lips / _RESTING_LIPS, fit.error / _RESTING_ERROR)
    return max(off) < latitude


@dataclass(frozen=True, slots=True)
class _View:
    """A frame's face, small. rimmed: (504, 2) px of the frame, its landmarks `with_rim`. pictures: coarse and fine,
    (h, w, 3) values with slopes. unit: px of the frame per px of the chart; factor: px of the frame per px of the fine
    picture; seen: (T,) how much each triangle of the chart shows.
    """

    rimmed: Float
    pictures: tuple[Float, Float]
    unit: float
    factor: int
    seen: Float


class SkinMotion:
    """Of one person before one camera. Not thread-safe; holds a small picture of the face until it is dropped.

    likeness: 0 to 1, how much the last frame looked like the kept picture where they ought to be the same.
    trust: 0 to 1, how far it was therefore taken at its word.
    """

    def __init__(self, model: FaceModel) -> None:
        self.likeness = 0.0
        self._doubts = self._waited = 0
        self._chart = chart = Chart.of(model)
        self._levels = (chart.coarse, chart.fine)
        self._at = tuple(np.empty((len(level.cell), 2), np.float32) for level in self._levels)
        self._kept = tuple(np.empty(len(level.cell), np.float32) for level in self._levels)
        self._most = np.where(chart.skin[:, None], np.float32(_MOST_CM), np.float32(_MOST_RIM_CM))
        self._visible = np.ones(len(chart.triangles), np.float32)
        self.trust = 0.0
        self._points: Float | None = None
        self._fit: Fit | None = None
        nodes = ROWS * COLUMNS
        self._shift = np.zeros((nodes, 2), np.float32)
        self._before = np.zeros((nodes, 2), np.float32)
        self._sums = np.zeros((nodes, SUMS), np.float32)
        self._nodes = np.zeros((nodes, 2), np.float32)
        self._resting = np.zeros((nodes, 2), np.float32)

    @property
    def knows(self) -> bool:
        """Whether a picture of the person is kept."""
        return self._points is not None

    def offer(self, pixels: Bytes, points: Float, fitter: Fitter, fit: Fit, subject: Subject) -> None:
        """Keep this picture, see `learn`, if none is kept and the face rests, or if the one that is kept no longer
        looks like the person: glasses, another lamp.
        """
        self._doubts = self._doubts + 1 if self.knows and self.likeness < _STRANGE else 0
        if self.knows and self._doubts < _DOUBTS:
            return
        self._waited += 1
        if not _at_rest(fit, subject, 1.0 if self._waited < _PATIENCE else _IMPATIENT):
            return
        self._doubts = self._waited = 0
        self.learn(pixels, points, fitter, fit)

    def learn(self, pixels: Bytes, points: Float, fitter: Fitter, fit: Fit) -> None:
        """Keep this picture: what `detail` says is relative to it.

        pixels: (H, W, 3) uint8; points: (478, 2 or 3) px, as the landmarker gives them; fit: what `fitter` made of
        them.
        """
        view = self._look(pixels, points)
        for at, picture, scale, kept in zip(self._at, view.pictures, _SCALES, self._kept, strict=True):
            read(picture, at, scale, kept)
        self._visible = view.seen
        self._shift[:] = 0
        self._points, self._fit = points.copy(), fit
        self._nodes = self._on_nodes(view.rimmed)
        self._resting = self._beyond(self._nodes, fitter, fit)

    def settle(self, fitter: Fitter, fit: Fit) -> None:
        """The person is known better: `detail` is relative to the kept picture as `fitter` understands it now.

        fit: of the present frame, from which `fitter` goes on.
        """
        if self._points is None or self._fit is None:
            return
        fitter.resume(self._fit)
        self._fit = fitter.fit(self._points, _FIT_ROUNDS)
        nodes = self._on_nodes(with_rim(self._points[:, :2]))
        self._resting = self._beyond(nodes, fitter, self._fit)
        fitter.resume(fit)

    def steadied(self, pixels: Bytes, points: Float) -> Float:
        """points: (478, 2 or 3) px -> the same, nearer to where the picture shows their skin. Unchanged before
        `learn`.
        """
        if self._points is None:
            return points
        view = self._look(pixels, points)
        self._bend(view)
        self.trust = min(max((self.likeness - _STRANGE) / (_LIKE - _STRANGE), 0.0), 1.0)
        shift = self._shift * np.float32(self.trust * view.unit)
        moved = np.array(points, np.float32)
        moved[:MESH, :2] += self._chart.landmarks(shift) * np.float32(_SHARE)
        moved[_OWN] = points[_OWN]
        self._nodes = self._on_nodes(view.rimmed) + shift
        return moved

    def detail(self, fitter: Fitter, fit: Fit) -> Float | None:
        """What skin does beyond `fit`, which was made of the steadied points: see `FaceParams.detail`. None before
        `learn`.
        """
        if self._points is None:
            return None
        beyond = (self._beyond(self._nodes, fitter, fit) - self._resting) * np.float32(self.trust)
        far = np.linalg.norm(beyond, axis=1, keepdims=True) / self._most
        beyond /= (1 + far**_KNEE) ** (1 / _KNEE)
        return np.asarray(beyond.reshape(DETAIL), np.float32)

    def _look(self, pixels: Bytes, points: Float) -> _View:
        landmarks = np.ascontiguousarray(with_rim(points[:, :2]), np.float32)
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        size = high - low
        factor = max(int(size[1] / _TALL), 1)
        left, top = np.floor(low - _MARGIN * size).astype(int).tolist()
        # Even numbers of px, so that halves have whole ones; never fewer than interpolation needs.
        width, height = (max(2 * int((1 + 2 * _MARGIN) * side / factor / 2 + 1), 8) for side in size.tolist())
        grey = np.empty((height, width), np.float32)
        shrink(pixels, left, top, factor, grey)
        even = np.empty((height, width), np.float32)
        arm = max(int(_EVEN * float(size[1]) / factor), 3)
        even_out(grey, arm, _DARK, np.empty((height + 1, width + 1), np.float32), even)
        fine = np.empty((height, width, 3), np.float32)
        with_slopes(even, fine)
        half = np.empty((height // 2, width // 2), np.float32)
        halve(even, half)
        coarse = np.empty((height // 2, width // 2, 3), np.float32)
        with_slopes(half, coarse)
        placed = (landmarks - np.array([left, top], np.float32)) / np.float32(factor)
        for level, at in zip(self._levels, self._at, strict=True):
            places(placed, level.corner, level.share, at)
        # y runs down in pictures, up on the chart.
        shown = -doubled_areas(landmarks, self._chart.triangles)
        px_per_cm = float(np.sqrt(np.abs(shown).sum() / np.abs(self._chart.areas).sum()))
        share = shown / self._chart.areas / np.float32(max(px_per_cm, 1e-3) ** 2)
        seen = np.clip((share - _GRAZING) / (_FACING - _GRAZING), 0, 1)
        return _View(landmarks, (coarse, fine), px_per_cm * PIXEL_CM, factor, np.asarray(seen, np.float32))

    def _bend(self, view: _View) -> None:
        """Find `_shift`, px of the chart, that lays the frame over the kept picture."""
        self._shift *= _CARRIED if self.likeness > _STRANGE else np.float32(0)
        trust = np.ones(len(self._shift), np.float32)
        seen = view.seen * self._visible
        wrong = energy = 1.0
        for k, level in enumerate(self._levels):
            visible = seen[level.triangle]
            unit = np.float32(view.unit / view.factor) * _SCALES[k]
            for turn in range(_ROUNDS[k]):
                accumulate(
                    view.pictures[k], self._at[k], _SCALES[k], unit, COLUMNS, level.cell, level.weight, visible,
                    self._kept[k], _TOLERANCE, self._shift, self._sums,
                )  # fmt: skip
                if k or turn:
                    believe(self._sums, _UNLIKE, _ALIKE, _LEAST_TRUST, trust)
                relax(self._sums, trust, COLUMNS, _STIFFNESS[k], _PULL, _SWEEPS, self._before, self._shift)
            wrong, energy = float(self._sums[:, 5].sum()), float(self._sums[:, 6].sum())
        self.likeness = max(1 - wrong / max(energy, 1e-6), 0.0)

    def _on_nodes(self, rimmed: Float) -> Float:
        """(504, 2) px, of landmarks `with_rim` -> (nodes, 2) px."""
        return weighted(rimmed, self._chart.nodes, self._chart.shares)

    def _beyond(self, nodes: Float, fitter: Fitter, fit: Fit) -> Float:
        """(nodes, 2) px where skin is -> (nodes, 2) cm, how far that is from where `fit` has it."""
        rotation = rotation_matrix(fit.rotation)
        depth = -float((rotation @ _FACE_CENTRE + fit.translation)[2])
        model = with_rim(fitter.posed(fit.expression)) @ rotation.T + fit.translation
        away = nodes - self._on_nodes(fitter.camera.project(np.asarray(model, np.float32)))
        away *= np.float32(depth / fitter.camera.focal)
        # What a shift along the head's x and y looks like: the upper left of its rotation, y down.
        across = rotation[:2, :2] * np.array([[1], [-1]], np.float32)
        return np.asarray(away @ np.linalg.inv(across).T, np.float32)
