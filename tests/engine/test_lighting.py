"""Light and colours of a face that is tracked live, against pictures of which both are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lit_person import LitPerson, lamp
from typer.testing import CliRunner

from mien.cli.performance import app
from mien.errors import InputError
from mien.face.light import front, harmonics, relative_light
from mien.face.lightpoints import LightPoints
from mien.face.model import load_model
from mien.face.portrait import PortraitNumbers
from mien.face.subject_json import subject_from_json, subject_to_json
from mien.face.tracker import LandmarkTracker
from mien.frames import Bytes, FaceParams, Float, VideoFrame
from mien.performance.writer import PerformanceWriter
from mien.stage import FaceLandmarks, Kind, Landmarker, Tracked
from mien.testing.context import FakeContext

pytestmark = pytest.mark.plugin

FRONT = harmonics(front())
EVERY_NS = 100_000_000
AT_REST = lamp(0.5, 0.4, 0.4)
TURNS = [(0.05 * np.sin(i), 0.25 * np.sin(0.9 * i), 0.0) for i in range(12)]


class Told(Landmarker):
    def __init__(self) -> None:
        self.points: Float | None = None

    def detect(self, pixels: Bytes) -> list[FaceLandmarks]:
        return [] if self.points is None else [FaceLandmarks(self.points, 1.0)]


class Rig:
    """Somebody who has been met under `AT_REST`, turning the head."""

    def __init__(self) -> None:
        self.person, self.told, self.index = LitPerson(), Told(), 0
        self.tracker = LandmarkTracker()
        self.tracker.open(FakeContext(services={Kind.LANDMARKER: lambda: self.told}))
        self.met = [self.see(AT_REST, turn) for turn in TURNS]
        subject = self.met[-1].subject
        assert subject is not None
        self.subject = subject

    def see(self, light: Float, turn: tuple[float, ...] = (0, 0, 0)) -> Tracked:
        pixels, self.told.points = self.person.seen(light, turn)
        self.index += 1
        return self.tracker.process(VideoFrame(pixels, self.index * EVERY_NS, index=self.index))

    def lit(self, light: Float, turn: tuple[float, ...] = (0, 0, 0)) -> Float:
        """What is said of that light, without the past's share in it."""
        self.index += 100
        params = self.see(light, turn).params
        assert params is not None
        return params.light


@pytest.fixture(scope="module")
def rig() -> Rig:
    return Rig()


def alike(found: Float, true: Float) -> float:
    """Mean difference of the shading of what faces the camera, of 1, whatever the brightness."""
    shading, expected = FRONT @ found, FRONT @ true
    gain = (shading * expected).sum(axis=0) / (shading * shading).sum(axis=0)
    return float(np.abs(shading * gain - expected).mean() / expected.mean())


def test_every_frame_says_its_light_from_the_first_one_on(rig: Rig) -> None:
    lights = [tracked.params.light for tracked in rig.met if tracked.params]
    assert len(lights) == len(TURNS)
    assert max(alike(light, AT_REST) for light in lights) < 0.06


def test_the_person_is_met_in_white_light_of_brightness_one(rig: Rig) -> None:
    assert alike(rig.subject.rest_light, AT_REST) < 0.05
    np.testing.assert_allclose(rig.subject.rest_light[0], 1 / 0.282095, rtol=1e-3)


@pytest.mark.parametrize(
    "light",
    [
        AT_REST * 1.25,
        AT_REST * 0.7,
        lamp(-0.5, 0.4, 0.4),
        lamp(0, 0.8, 0.2, ambience=0.6),
        AT_REST * np.array([1.2, 1, 0.85], np.float32),
    ],
    ids=["brighter", "darker", "from the other side", "from above", "warmer"],
)
def test_a_change_of_light_is_measured(rig: Rig, light: Float) -> None:
    change = FRONT @ relative_light(rig.lit(light.astype(np.float32)), rig.subject.rest_light)
    np.testing.assert_allclose(change, (FRONT @ light) / (FRONT @ AT_REST), atol=0.2)
    assert np.abs(change - (FRONT @ light) / (FRONT @ AT_REST)).mean() < 0.03


def test_a_head_that_turns_changes_no_light(rig: Rig) -> None:
    change = FRONT @ relative_light(rig.lit(AT_REST, (0.1, 0.3, 0)), rig.subject.rest_light)
    assert np.abs(change - 1).mean() < 0.04


def test_the_skin_has_the_persons_colours(rig: Rig) -> None:
    person = rig.person
    painted = person.reflectance.albedo(rig.subject.reflectance)
    chosen = LightPoints.of(person.model).chosen
    marks = person.model.landmarks
    true, found, average = (
        marks.apply(colours)[chosen] for colours in (person.albedo, painted, person.reflectance.average)
    )
    gain = np.median(true / found, axis=0)
    usual = np.median(true / average, axis=0)
    assert np.abs(found * gain - true).mean() < 0.5 * np.abs(average * usual - true).mean()


def test_light_alone_makes_no_new_subject(rig: Rig) -> None:
    pixels, rig.told.points = rig.person.seen(AT_REST)
    for _ in range(60):  # what was kept so far has been learned from by then
        rig.index += 1
        before = rig.tracker.process(VideoFrame(pixels, rig.index * EVERY_NS)).subject
    after = [rig.see(lamp(-0.4, 0.2, 0.4)).subject for _ in range(5)]
    assert before is not None
    assert {one.epoch for one in after if one} == {before.epoch}


def test_a_still_face_has_a_still_light(rig: Rig) -> None:
    lights = [rig.see(AT_REST).params for _ in range(14)]
    shading = np.array([FRONT @ params.light for params in lights[6:] if params])
    assert np.abs(np.diff(shading, axis=0)).mean() < 1e-3


def test_all_groups_of_a_live_frame_can_be_read(rig: Rig) -> None:
    params = rig.met[-1].params
    assert params is not None
    numbers = PortraitNumbers.of(rig.subject, params)
    assert all(group.any() for name, group in numbers if name != "gaze")
    assert numbers.sizes["light"] == 27


def test_a_frame_is_picked_with_the_subject_that_it_refers_to(rig: Rig) -> None:
    events = [rig.subject, FaceParams(0), FaceParams(1, light=AT_REST.copy())]
    picked = PortraitNumbers.at(events, 1)
    assert picked is not None
    np.testing.assert_array_equal(picked.light, AT_REST.reshape(-1))
    assert PortraitNumbers.at(events, 2) is None


def test_a_face_beyond_the_edge_of_the_picture_breaks_nothing(rig: Rig) -> None:
    pixels, points = rig.person.seen(AT_REST)
    fresh = LandmarkTracker()
    told = Told()
    fresh.open(FakeContext(services={Kind.LANDMARKER: lambda: told}))
    told.points = points + np.array([200, 0, 0], np.float32)
    tracked = fresh.process(VideoFrame(pixels[:, ::-1], 0))
    assert tracked.params is not None
    assert np.isfinite(tracked.params.light).all()


def test_points_lie_on_open_skin_and_have_their_twins() -> None:
    points = LightPoints.of(load_model())
    assert 250 < len(points.chosen) < 420
    assert (points.twin[points.twin] == np.arange(len(points.chosen))).mean() > 0.9
    assert points.weight.mean() == pytest.approx(1)


def test_what_is_learned_of_light_and_lens_is_in_the_file(tmp_path: Path, rig: Rig) -> None:
    subject = replace(rig.subject, focal_confidence=0.5)
    read = subject_from_json(json.loads(json.dumps(subject_to_json(subject))))
    np.testing.assert_array_equal(read.rest_light, subject.rest_light)
    assert read.focal_confidence == 0.5
    earlier = subject_to_json(subject)
    del earlier["rest_light"], earlier["focal_confidence"]
    assert not subject_from_json(earlier).rest_light.any()


def test_the_numbers_of_a_frame_are_printed(tmp_path: Path, rig: Rig) -> None:
    path = tmp_path / "a.performance"
    with PerformanceWriter(path, rig.subject, 25.0) as writer:
        for tracked in rig.met:
            if tracked.params:
                writer.add(tracked.params)
    command = ["numbers", str(path), "--frame"]
    result = CliRunner().invoke(app, [*command, "3", "--json"])
    groups = json.loads(result.output)
    assert len(groups["light"]) == 27
    assert any(groups["reflectance"])
    assert "rotation (3)" in CliRunner().invoke(app, [*command, "0"]).output
    beyond = CliRunner().invoke(app, [*command, "99"])
    assert isinstance(beyond.exception, InputError)
    assert "no frame 99" in str(beyond.exception)
