"""Controls: validation, patches, messages."""

import pytest

from mien.controls import BackgroundChoice, Controls
from mien.errors import ConfigError

pytestmark = pytest.mark.unit


def test_defaults_change_nothing() -> None:
    controls = Controls()
    assert not controls.paused
    assert controls.mode == "full"
    assert controls.head_strength == controls.expression_strength == 1.0
    assert controls.expression == {}
    assert controls.background.rgb == (0, 128, 0)


def test_patches_merge_below_the_top_level() -> None:
    controls = Controls().patched({"head": {"yaw": 10}, "expression": {"jawOpen": 0.5}})
    controls = controls.patched({"head": {"pitch": -5}, "expression": {"mouthPucker": 0.25}, "mirror": True})
    assert (controls.head.yaw, controls.head.pitch) == (10, -5)
    assert controls.expression == {"jawOpen": 0.5, "mouthPucker": 0.25}
    assert controls.mirror


def test_null_goes_back_to_the_default() -> None:
    controls = Controls().patched({"head": {"yaw": 10}, "expression": {"jawOpen": 0.5, "cheekPuff": 0.1}})
    controls = controls.patched({"head": None, "expression": {"jawOpen": None}})
    assert controls.head.yaw == 0
    assert controls.expression == {"cheekPuff": 0.1}
    assert controls.patched({"expression": None}).expression == {}


def test_a_patch_survives_the_way_over_the_wire() -> None:
    controls = Controls().patched({"gaze": {"yaw": 3}, "background": {"mode": "colour", "colour": "#102030"}})
    assert Controls.parse(controls.model_dump(mode="json")) == controls
    assert controls.background.rgb == (16, 32, 48)


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"hed": {}}, "controls.hed is not a setting; did you mean “head”?"),
        ({"head": {"jaw": 1}}, "did you mean “yaw”?"),
        ({"head": {"yaw": 300}}, "controls.head.yaw"),
        ({"head": 3}, "controls.head"),
        ({"gaze": {"pitch": float("nan")}}, "controls.gaze.pitch"),
        ({"expression": {"jawopen": 0.1}}, "did you mean “jawOpen”?"),
        ({"expression": {"jawOpen": 2}}, "controls.expression.jawOpen"),
        ({"mode": "puppet"}, "'full', 'face' or 'dubbing'"),
        ({"head_strength": -1}, "controls.head_strength"),
        ({"background": {"colour": "red"}}, "controls.background.colour"),
    ],
)
def test_bad_values_are_named(patch: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Controls().patched(patch)
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "mode", "colour"),
    [
        ("keep", "keep", "#008000"),
        ("blur", "blur", "#008000"),
        ("transparent", "transparent", "#008000"),
        ("#00B140", "colour", "#00B140"),
        ("office.jpg", "image", "#008000"),
    ],
)
def test_backgrounds_have_short_names(name: str, mode: str, colour: str) -> None:
    assert BackgroundChoice.named(name) == BackgroundChoice(mode=mode, colour=colour)


def test_a_colour_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="#RRGGBB"):
        BackgroundChoice.named("#12")


def test_amounts_of_life_are_bounded_and_named() -> None:
    controls = Controls().patched({"alive": {"blinks": 0.5, "nods": 2}})
    assert (controls.alive.blinks, controls.alive.nods, controls.alive.saccades) == (0.5, 2, 1)
    assert controls.patched({"alive": None}).alive.blinks == 1
    with pytest.raises(ConfigError, match="blinks"):
        controls.patched({"alive": {"blink": 1}})
    with pytest.raises(ConfigError, match=r"controls\.alive\.nods"):
        controls.patched({"alive": {"nods": 3}})
