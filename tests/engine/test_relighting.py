"""The avatar's light goes with the driver's, relative to how the driver was met."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.controls import Controls
from mien.drive.relighting import Relighting
from mien.driver import Driver
from mien.errors import ConfigError
from mien.face.camera import Camera
from mien.face.light import ambient, front, harmonics, relative_light
from mien.face.retargeting import mirrored_light
from mien.face.subject import Subject
from mien.frames import FaceParams, Float

pytestmark = pytest.mark.unit

FRONT = harmonics(front())
REST = ambient(1.0)
REST[3] = 0.6
NOBODY = Subject("mien-head", np.zeros(20, np.float32), Camera.guess(640, 480))
PERSON = replace(NOBODY, rest_light=REST.copy())
DRIVER = Controls(light="driver")


def side_lit(strength: float = 0.8) -> Float:
    light = REST.copy()
    light[3] += strength
    return light


def settled(relighting: Relighting, seen: FaceParams | None, controls: Controls = DRIVER) -> Float:
    for _ in range(80):
        light = relighting.step(seen, PERSON, controls, 0.04)
    return light


def test_the_change_is_the_ratio_of_the_shading() -> None:
    now = side_lit()
    found = FRONT @ relative_light(now, REST)
    np.testing.assert_allclose(found, (FRONT @ now) / (FRONT @ REST), atol=0.03)


def test_the_same_light_is_no_change_and_a_brighter_one_is_evenly_brighter() -> None:
    np.testing.assert_allclose(relative_light(REST, REST), ambient(), atol=1e-5)
    np.testing.assert_allclose(relative_light(1.3 * REST, REST), ambient(1.3), atol=1e-4)
    np.testing.assert_allclose(relative_light(1.44 * REST, REST, 0.5), ambient(1.2), atol=1e-4)


def test_light_that_is_no_light_stays_finite() -> None:
    for odd in (np.zeros((9, 3), np.float32), -REST, 1e6 * REST):
        assert np.isfinite(relative_light(odd, REST)).all()
        assert np.abs(FRONT @ relative_light(odd, REST)).max() < 5


def test_the_portraits_light_stays_unless_the_drivers_is_chosen() -> None:
    seen = FaceParams(0, light=side_lit())
    assert not settled(Relighting(), seen, Controls()).any()
    assert not settled(Relighting(), seen, Controls(light="driver", light_strength=0)).any()
    np.testing.assert_allclose(settled(Relighting(), seen), relative_light(side_lit(), REST), atol=1e-3)


def test_unknown_light_changes_nothing() -> None:
    assert not Relighting().step(FaceParams(0), PERSON, DRIVER, 0.04).any()
    assert not Relighting().step(FaceParams(0, light=side_lit()), NOBODY, DRIVER, 0.04).any()
    assert not Relighting().step(FaceParams(0, light=side_lit()), None, DRIVER, 0.04).any()


def test_a_lamp_is_followed_without_a_jump_and_left_when_nobody_is_seen() -> None:
    relighting, seen = Relighting(), FaceParams(0, light=side_lit())
    steps = [relighting.step(seen, PERSON, DRIVER, 0.04) for _ in range(25)]
    shades = np.array([FRONT @ light for light in steps])
    assert np.abs(np.diff(shades, axis=0)).max() < 0.1
    assert np.abs(shades[-1] - 1).max() > 0.15
    settled(relighting, None)
    assert not settled(relighting, None).any()


def test_in_a_mirror_the_light_comes_from_the_other_side() -> None:
    seen = FaceParams(0, light=side_lit())
    mirrored = settled(Relighting(), seen, Controls(light="driver", mirror=True))
    np.testing.assert_allclose(mirrored, mirrored_light(settled(Relighting(), seen)), atol=1e-5)


def test_the_driver_hands_it_to_the_renderer() -> None:
    driver, plain = Driver(NOBODY, DRIVER), Driver(NOBODY, Controls())
    for i in range(40):
        seen = FaceParams(i * 40_000_000, light=side_lit(), index=i)
        params, other = (one.step(seen, PERSON, i * 40_000_000, i) for one in (driver, plain))
    assert (FRONT @ params.light).std() > 0.05
    assert not other.light.any()


def test_controls_say_what_light_there_is() -> None:
    assert Controls().light == "portrait"
    assert Controls.parse({"light": "driver", "light_strength": 0.5}).light_strength == 0.5
    with pytest.raises(ConfigError, match="light"):
        Controls.parse({"light": "sun"})
