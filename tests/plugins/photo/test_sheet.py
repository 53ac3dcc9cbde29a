"""Contact sheets: what they show, and the command that makes them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.avatar.package import save_avatar
from mien.errors import MediaError
from mien.frames import FaceParams
from mien_photo import sheet, takes
from mien_photo.poses import STRIPS

pytestmark = [pytest.mark.plugin, pytest.mark.slow]


def test_every_pose_names_expressions_that_there_are():
    for strip in STRIPS.values():
        for pose in strip.poses:
            motion = pose.motion()
            assert np.isfinite(motion).all()
            still = not (pose.weights or any(pose.head) or any(pose.gaze) or any(pose.shift))
            assert motion.any() != still, pose.label


def test_instants_are_unlike_each_other_and_in_order():
    moves = []
    for index in range(50):
        expression = np.zeros(52, np.float32)
        expression[0], expression[1] = index == 7, index == 31
        params = FaceParams(index, expression=expression, index=index)
        moves.append(takes.Move(params if index != 20 else None, None, index))
    chosen = takes._telling(moves, 3)
    assert {7, 31} < set(chosen)
    assert list(chosen) == sorted(chosen)


def test_a_take_has_no_more_instants_than_frames():
    moves = [takes.Move(FaceParams(0), None, 0)]
    assert takes._telling(moves, 6) == (0,)


def test_nobody_drives_and_the_avatar_lives(avatar, rendering):
    take = takes.nobody(instants=3, seconds=4)
    first, _, last = takes.perform(take, avatar.content.subject, rendering((128, 128)))
    assert 0 < np.abs(first.astype(int) - last).mean() < 6


def test_parts_of_the_face_lie_within_one_another(avatar):
    whole, face, eyes, mouth = (sheet.area(avatar, part) for part in ("whole", "face", "eyes", "mouth"))
    for left, top, right, bottom in (face, eyes, mouth):
        assert whole[0] <= left < right <= whole[2]
        assert whole[1] <= top < bottom <= whole[3]
    assert eyes[3] < mouth[3] < face[3]


def test_a_cell_shows_the_whole_picture():
    wide = np.full((50, 100, 3), 200, np.uint8)
    cell = sheet.cell(wide, "", 60, 60)
    assert cell.shape == (60, 60, 3)
    assert (cell[20:40] == 200).all()
    assert (cell[:10] < 100).all()


def test_the_command_writes_a_sheet_of_each_kind(avatar, tmp_path, capsys):
    package = tmp_path / "somebody.avatar"
    save_avatar(avatar, package)
    folder = tmp_path / "sheets"
    options = ["--strip", "blink", "--clip", "nobody", "--instants", "2", "--size", "128", "--cell", "64"]
    sheet.main([str(package), "--out", str(folder), *options])
    strip = cv2.imread(str(folder / "somebody-blink.png"))
    assert strip.shape[1] == 4 * 64
    assert cv2.imread(str(folder / "somebody-nobody.png")).shape == (64, 3 * 64, 3)
    assert "somebody-blink.png" in capsys.readouterr().out


def test_driver_and_result_stand_over_each_other(avatar, rendering):
    take = takes.nobody(instants=2, seconds=2)
    seen = tuple(np.full((40, 30, 3), 250, np.uint8) for _ in take.instants)
    drawn = sheet.driven_sheet(rendering((128, 128)), avatar, replace(take, seen=seen), 64)
    assert drawn.shape == (128, 192, 3)
    assert drawn[32, 96].min() > 240


def test_a_clip_that_is_none_is_named(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_text("no video")
    with pytest.raises(MediaError, match=r"clip\.mp4"):
        list(takes.frames(path, 1.0))
