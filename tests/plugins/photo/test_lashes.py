"""Lashes of an eye that closes, and the teeth that are painted: as the portrait has them, and nobody like another."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.face.camera import rotation_matrix
from mien.render.projection import pose_matrix
from mien_photo import lashes, teeth, window
from mien_photo.teeth import Palette

pytestmark = pytest.mark.unit

SKIN = 190
EDGE = np.array([(40 + 6.25 * k, 40 + 6 * np.sin(np.pi * k / 8)) for k in range(9)], np.float32)
CM = 1 / 16


def portrait(*, hairs: bool) -> np.ndarray:
    """Skin with a dark edge of the lid, with lashes over it or none."""
    picture = np.full((120, 130, 3), SKIN, np.uint8)
    ends = np.round(EDGE * 16).astype(np.int32)
    cv2.polylines(picture, [ends], False, (40, 30, 25), 3, cv2.LINE_AA, 4)
    for x, y in ends.tolist() if hairs else ():
        for beside in (-48, 0, 48):
            cv2.line(picture, (x + beside, y), (x + beside, y - 200), (40, 30, 25), 1, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(picture, (0, 0), 0.7)


def drawn(clear: float, shut: float, seed: int = 0, outwards: int = 1) -> np.ndarray:
    picture = np.full((120, 130, 3), SKIN, np.uint8)
    found = lashes.Found(np.array([40, 30, 25], np.float32), clear)
    lashes.Lashes(found, len(EDGE), outwards, seed).draw(EDGE, shut, CM, picture)
    return SKIN - picture.astype(int)


def test_hairs_are_drawn_where_the_portrait_shows_them() -> None:
    assert lashes.find(portrait(hairs=True), EDGE).clear == 1
    stone = lashes.find(portrait(hairs=False), EDGE)
    assert stone.clear < 0.2, "a carved edge has none"
    np.testing.assert_allclose(stone.colour, (40, 30, 25), atol=25)


def test_one_eye_has_no_crisper_lashes_than_the_other() -> None:
    picture = np.concatenate([portrait(hairs=True), portrait(hairs=False)], axis=1)
    both = lashes.of_both(picture, [EDGE, EDGE + np.array([130, 0], np.float32)])
    assert len({one._clear for one in both}) == 1


def test_they_hang_over_the_lower_lid_longest_towards_the_temple() -> None:
    assert drawn(1.0, lashes.FROM).max() == 0
    dark = drawn(1.0, 1.0)[..., 0]
    below = np.array([dark[int(np.interp(x, *EDGE.T)) + 3 :, x].sum() for x in range(40, 90)])
    assert below[28:42].mean() > 1.3 * below[4:18].mean() > 0
    assert dark[:34].max() == 0
    other = drawn(1.0, 1.0, outwards=-1)[..., 0]
    assert other[46:, 40:60].sum() > other[46:, 70:90].sum()
    assert drawn(1.0, 1.0).max() <= SKIN - 25
    assert drawn(0.4, 0.5).sum() < drawn(0.4, 1.0).sum()


def test_what_is_not_seen_singly_is_a_soft_shade() -> None:
    def rough(dark: np.ndarray) -> float:
        return float(np.abs(np.diff(dark[48:56, 45:85, 0], axis=1)).mean())

    assert rough(drawn(0.0, 1.0)) < 0.3 * rough(drawn(1.0, 1.0))
    line = drawn(0.0, 1.0)[..., 0].max(axis=0)[52:78]
    assert line.min() > 0.35 * SKIN, "shut lids part at a dark line, lashes or none"


def test_a_row_of_teeth_seen_from_the_edge_fades_and_no_comb_of_slivers_ends_it() -> None:
    """Where it turns away from the line of sight, many teeth come together in a few px."""
    high, wide = 4, 400
    gathered = np.zeros((high, wide, 9), np.float32)
    gathered[..., 0] = 1
    white = np.full((40, 400, 4), 255, np.uint8)
    row = np.zeros((high, wide, 3), np.float32)
    window.inside_mouth(
        gathered,
        np.zeros(wide, np.float32),
        np.full(wide, high, np.float32),
        np.array([56, 254], np.float32),
        pose_matrix(rotation_matrix(np.array([0, 0.7, 0], np.float32)), np.array([0, 0, -60], np.float32)),
        np.array([512, 512, 4096, 256, 256], np.float32),
        np.array([2.6, 3, 3, -0.5, -3, 1, 0], np.float32),
        np.zeros(4, np.float32),
        np.float32(0),
        np.linspace(0, 3.6, 50, dtype=np.float32),
        white,
        np.zeros_like(white),
        palette((250, 250, 250)).packed(),
        row,
    )
    bright = row[2, :, 0]
    assert bright[200] > 2 * bright[-1] > 0
    assert np.abs(np.diff(bright[300:])).max() < 0.4 * (bright[200] - bright[-1]), "the far side of the row"


@pytest.mark.parametrize("shift", [(-60, 0), (60, 0), (0, -60), (0, 90), (400, 400)])
def test_at_and_beyond_the_border_nothing_breaks(shift) -> None:
    picture = np.full((120, 130, 3), SKIN, np.uint8)
    lash = lashes.Lashes(lashes.Found(np.zeros(3, np.float32), 0.5), len(EDGE), 1, 0)
    lash.draw(EDGE + np.array(shift, np.float32), 1.0, CM, picture)
    assert picture.max() == SKIN


def palette(tooth: tuple[int, int, int]) -> Palette:
    red = np.array([150, 80, 80], np.float32)
    return Palette(np.array(tooth, np.float32), red, red, red / 5)


def test_painted_teeth_are_somebodys_own() -> None:
    one, other = palette((220, 210, 190)), palette((221, 210, 190))
    row = teeth.painted(one, upper=True)
    np.testing.assert_array_equal(row, teeth.painted(one, upper=True))
    assert (row[..., 3] != teeth.painted(other, upper=True)[..., 3]).any()
    assert (row[..., 3] != row[:, ::-1, 3]).any(), "one side is not the other's mirror image"
    grey = np.full(3, 150, np.float32)
    stone = teeth.painted(Palette(grey, grey / 2, grey / 2, grey / 5), upper=False)
    # Canines and what is behind them are more yellow in any case.
    within = stone[40:60, 180:204, :3].astype(int)
    assert np.ptp(within, axis=-1).max() <= 1, "those of a statue keep its hue"
