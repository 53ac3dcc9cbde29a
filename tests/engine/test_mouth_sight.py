"""Whether a mouth is in sight: drawn ones here, real ones with something drawn over them at the end."""

import numpy as np
import pytest

from mien.face.model import OUTER_LIPS
from mien.face.mouth_sight import _ABOVE, _AROUND, MouthSight
from mien.plugins import Registry
from mien.stage import Kind
from mien.testing.context import FakeContext

pytestmark = pytest.mark.unit

SKIN, LIPS = np.array([200, 150, 125]), np.array([165, 80, 85])


def face(light: float = 1.0, cover: np.ndarray | None = None, shake: int = 0):
    """A picture with patches of colour at landmarks, and where those are."""
    rng = np.random.default_rng(1)
    points = np.zeros((478, 3), np.float32)
    pixels = np.full((240, 240, 3), 60, np.uint8)
    for place, index in enumerate((*_ABOVE, *_AROUND, *OUTER_LIPS)):
        row, column = divmod(place, 8)
        x, y = 20 + 26 * column, 20 + 26 * row
        points[index, :2] = x, y
        colour = (LIPS if index in OUTER_LIPS else SKIN) * rng.uniform(0.92, 1.08, 3)
        if cover is not None and index not in _ABOVE:
            colour = cover
        pixels[y - 8 : y + 8, x - 8 : x + 8] = np.clip(colour * light, 0, 255).astype(np.uint8)
    points[:, :2] += np.random.default_rng(shake).normal(0, 1.0, (478, 2))
    return pixels, points


def learned() -> MouthSight:
    sight = MouthSight()
    assert [sight.see(*face(shake=n)) for n in range(20)] == [1.0] * 20
    return sight


@pytest.mark.parametrize("cover", [SKIN, np.array([128, 128, 128]), np.array([40, 40, 45])])
def test_a_mouth_that_is_covered_is_found_out_at_once_and_trusted_again_soon(cover):
    sight = learned()
    assert sight.see(*face(cover=cover)) < 0.3
    assert max(sight.see(*face(cover=cover, shake=n)) for n in range(50)) < 0.3, "it is not learned"
    back = [sight.see(*face(shake=n)) for n in range(8)]
    assert back[0] < 0.3
    assert back[-1] == 1.0


def test_light_that_changes_is_no_cover_and_darkness_is():
    sight = learned()
    assert min(sight.see(*face(light=light)) for light in (0.5, 1.2, 0.3)) == 1.0
    assert sight.see(*face(light=0.03)) == 0


def test_another_person_is_learned_anew():
    sight = learned()
    sight.reset()
    assert sight.see(*face(cover=SKIN)) == 1.0, "nobody knows yet"


@pytest.mark.parametrize("cover", [(60, 90, 150), (70, 150, 90), (150, 150, 150)])
def test_a_mask_from_the_beginning_is_no_mouth(cover):
    sight = MouthSight()
    assert max(sight.see(*face(cover=np.array(cover), shake=n)) for n in range(200)) == 0
    bare = [sight.see(*face(shake=n)) for n in range(30)]
    assert bare[4:] == [1.0] * 26
    assert sight.see(*face(cover=np.array(cover))) < 0.3


def test_skin_of_every_colour_in_every_light_is_no_mask():
    for tint in ((1, 1, 1), (0.3, 0.27, 0.25), (1.1, 0.85, 0.6), (0.7, 0.85, 1.1)):
        pixels, points = face()
        tinted = np.clip(pixels * np.array(tint), 0, 255).astype(np.uint8)
        assert MouthSight().see(tinted, points) == 1.0


def test_who_was_met_with_a_covered_mouth_is_believed_later():
    sight = MouthSight()
    for n in range(15):
        sight.see(*face(cover=SKIN - 60 + 8 * (n % 2), shake=n))
    assert sight.see(*face()) == 0, "what was learned first is no mouth"
    assert [sight.see(*face(shake=n)) for n in range(100)][-1] == 1.0
    assert sight.see(*face(cover=SKIN)) < 0.3


def test_points_outside_of_the_picture_are_no_trouble():
    pixels, points = face()
    assert 0 <= MouthSight().see(pixels[:20, :20], points * 3 - 200) <= 1


@pytest.mark.data
@pytest.mark.plugin
def test_real_people_who_talk_and_something_held_before_their_mouths(data):
    av, cv2 = pytest.importorskip("av"), pytest.importorskip("cv2")
    landmarker = Registry.discover().create(Kind.LANDMARKER)
    landmarker.open(FakeContext(live=True))
    sight, seen, covered = MouthSight(), [], []
    last = np.zeros((478, 3), np.float32)
    try:
        with av.open(str(data / "talk" / "short_1.mp4")) as container:
            for index, frame in zip(range(75), container.decode(video=0), strict=False):
                pixels = cv2.resize(
                    frame.to_ndarray(format="rgb24"), (400, 400), interpolation=cv2.INTER_AREA
                )
                if index >= 60:
                    left, top = last[[61, 0], :2].min(axis=0).astype(int) - 12
                    right, bottom = last[[291, 17], :2].max(axis=0).astype(int) + 12
                    pixels[top:bottom, left:right] = pixels[top - 4, left - 4]
                last = landmarker.detect(pixels)[0].points
                (covered if index >= 60 else seen).append(sight.see(pixels, last))
    finally:
        landmarker.close()
    assert min(seen) > 0.9
    assert max(covered) < 0.3
