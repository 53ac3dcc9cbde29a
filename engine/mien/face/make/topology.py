"""The face's control mesh: MediaPipe's 468 points with the triangles that its edge list implies, and how
it is refined to a smooth surface (Loop 1987, boundaries after Hoppe et al. 1994).

Subdivision is linear, so the whole of it is one sparse matrix; it is solved for the control points whose
refined surface passes *through* given positions of the 468 points.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix, csr_matrix

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]

UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""The inner contour of the lips, the subject's right corner to the left; they meet pair by pair."""
UPPER_LID_LEFT = (362, 398, 384, 385, 386, 387, 388, 466, 263)
LOWER_LID_LEFT = (362, 382, 381, 380, 374, 373, 390, 249, 263)
"""The lid margins of the subject's left eye, inner corner to outer; they meet pair by pair."""
COUNT = 468


def face_triangles() -> Ints:
    """(852, 3), counter-clockwise from outside, from the edge list that MediaPipe ships."""
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

    near: dict[int, set[int]] = defaultdict(set)
    for a, b in FACEMESH_TESSELATION:
        near[a].add(b)
        near[b].add(a)
    cycles = {tuple(sorted((a, b, c))) for a in near for b in near[a] for c in near[a] & near[b]}
    # A triangle around an inner point of three neighbours is no face: all its edges have two faces already.
    uses = Counter(frozenset(edge) for t in cycles for edge in _edges(t))
    faces = [t for t in sorted(cycles) if not all(uses[frozenset(e)] == 3 for e in _edges(t))]
    return _oriented(faces)


def symmetric(triangles: Ints, points: Doubles, mirror: Ints) -> Ints:
    """The same triangles, the subject's left half also standing for the right: MediaPipe cuts a few
    quadrangles differently on the two sides. points: (468, 3), symmetric.
    """
    side = np.where(mirror == np.arange(COUNT), 0, np.sign(points[:, 0]))[triangles]
    left = triangles[(side >= 0).all(axis=1)]
    across = triangles[(side > 0).any(axis=1) & (side < 0).any(axis=1)]
    return np.concatenate([left, mirror[left][:, ::-1], across])


def _edges(t: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return ((t[0], t[1]), (t[1], t[2]), (t[2], t[0]))


def _oriented(faces: list[tuple[int, ...]]) -> Ints:
    """All wound as the first; the first so that 10 (forehead), 338 (to the subject's left), 151 agree."""
    owner = defaultdict(list)
    for i, t in enumerate(faces):
        for edge in _edges(t):
            owner[frozenset(edge)].append(i)
    wound: dict[int, tuple[int, ...]] = {0: faces[0]}
    waiting = [0]
    while waiting:
        i = waiting.pop()
        for a, b in _edges(wound[i]):
            for j in owner[frozenset((a, b))]:
                if j not in wound:
                    third = next(v for v in faces[j] if v not in (a, b))
                    wound[j] = (b, a, third)
                    waiting.append(j)
    result = np.array([wound[i] for i in range(len(faces))])
    directed = {edge for t in result.tolist() for edge in _edges(tuple(t))}
    # Seen from in front the oval runs from 10 to the subject's left (right in the picture, clockwise).
    return result if (338, 10) in directed else result[:, ::-1].copy()


def mirror_map(points: Doubles) -> Ints:
    """(468,): the point on the other side. points: (468, 3), a levelled, nearly symmetric face."""
    flipped = points * (-1, 1, 1)
    cost = ((points[:, None] - flipped[None]) ** 2).sum(axis=2)
    return np.asarray(linear_sum_assignment(cost + cost.T)[1])


@dataclass(frozen=True, slots=True)
class Refinement:
    """The refined face.

    matrix: (V, 468) sparse, takes *positions or displacements of the 468 points* to the refined ones.
    triangles: (T, 3). The first 468 vertices are the 468 points.
    """

    matrix: csr_matrix
    triangles: Ints

    def apply(self, values: Doubles) -> Doubles:
        """values: (468, ...) -> (V, ...)."""
        flat = values.reshape(COUNT, -1)
        return np.asarray(self.matrix @ flat).reshape(-1, *values.shape[1:])


def refine(triangles: Ints, fine: NDArray[np.bool_]) -> Refinement:
    """Two levels where `fine` (one flag per triangle) says so, one elsewhere, without T-junctions."""
    first, once, _ = _loop(triangles, COUNT)
    second, _, middle = _loop(once, first.shape[0])
    total = (second @ first).tocsr()
    wanted = np.tile(fine, 4)
    split = {
        frozenset(edge)
        for t, yes in zip(once.tolist(), wanted, strict=True)
        if yes
        for edge in _edges(tuple(t))
    }
    faces: list[tuple[int, int, int]] = []
    for t in once.tolist():
        faces += _cut(t, [middle[frozenset(e)] if frozenset(e) in split else -1 for e in _edges(tuple(t))])
    used = np.unique(np.array(faces))
    new = np.full(total.shape[0], -1)
    new[used] = np.arange(len(used))
    matrix = total[used]
    through = np.linalg.inv(matrix[:COUNT].toarray())
    dense = matrix @ through
    dense[np.abs(dense) < 1e-9] = 0
    return Refinement(csr_matrix(dense), new[np.array(faces)])


def _cut(t: list[int], mid: list[int]) -> list[tuple[int, int, int]]:
    """One triangle whose edges (0-1, 1-2, 2-0) have middle points, or -1."""
    count = sum(m >= 0 for m in mid)
    if count == 0:
        return [(t[0], t[1], t[2])]
    if count == 3:
        return [
            (t[0], mid[0], mid[2]),
            (t[1], mid[1], mid[0]),
            (t[2], mid[2], mid[1]),
            (mid[0], mid[1], mid[2]),
        ]
    k = next(i for i in range(3) if mid[i] >= 0 and (count == 1 or mid[(i + 2) % 3] < 0))
    a, b, c = t[k], t[(k + 1) % 3], t[(k + 2) % 3]
    m, n = mid[k], mid[(k + 1) % 3]
    if count == 1:
        return [(a, m, c), (m, b, c)]
    return [(a, m, c), (m, b, n), (m, n, c)]


def _loop(triangles: Ints, count: int) -> tuple[csr_matrix, Ints, dict[frozenset[int], int]]:
    """One step of Loop's scheme: matrix (new, old), new triangles, middle vertex of each old edge."""
    beside: dict[frozenset[int], list[int]] = defaultdict(list)
    for t in triangles.tolist():
        for k in range(3):
            beside[frozenset((t[k], t[(k + 1) % 3]))].append(t[(k + 2) % 3])
    middle = {edge: count + i for i, edge in enumerate(sorted(beside, key=sorted))}
    around: dict[int, set[int]] = defaultdict(set)
    rim: dict[int, set[int]] = defaultdict(set)
    for edge, apexes in beside.items():
        a, b = edge
        around[a].add(b)
        around[b].add(a)
        if len(apexes) == 1:
            rim[a].add(b)
            rim[b].add(a)
    entries: list[tuple[int, int, float]] = []
    for v in range(count):
        if v in rim:
            entries += [(v, v, 3 / 4), *((v, n, 1 / 8) for n in rim[v])]
        else:
            n = len(around[v])
            beta = (5 / 8 - (3 / 8 + np.cos(2 * np.pi / n) / 4) ** 2) / n
            entries += [(v, v, 1 - n * beta), *((v, w, beta) for w in around[v])]
    for edge, m in middle.items():
        a, b = edge
        if len(beside[edge]) == 1:
            entries += [(m, a, 1 / 2), (m, b, 1 / 2)]
        else:
            entries += [(m, a, 3 / 8), (m, b, 3 / 8), *((m, c, 1 / 8) for c in beside[edge])]
    row, column, value = zip(*entries, strict=True)
    matrix = coo_matrix((value, (row, column)), shape=(count + len(middle), count)).tocsr()
    corner, between = [], []
    for t in triangles.tolist():
        m = [middle[frozenset(e)] for e in _edges(tuple(t))]
        corner += [(t[0], m[0], m[2]), (t[1], m[1], m[0]), (t[2], m[2], m[1])]
        between.append((m[0], m[1], m[2]))
    # Laid out in four blocks of one triangle per old triangle, so that flags can be tiled.
    blocks = [np.array(corner)[k::3] for k in range(3)] + [np.array(between)]
    return matrix, np.concatenate(blocks), middle


def loops(triangles: Ints) -> list[list[int]]:
    """Boundary loops, each in the direction that its triangles run."""
    directed = {(t[k], t[(k + 1) % 3]) for t in triangles.tolist() for k in range(3)}
    after = {a: b for a, b in directed if (b, a) not in directed}
    found = []
    while after:
        start = next(iter(after))
        loop = [start]
        v = after.pop(start)
        while v != start:
            loop.append(v)
            v = after.pop(v)
        found.append(loop)
    return found
