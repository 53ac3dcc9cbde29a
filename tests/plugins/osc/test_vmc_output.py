"""The VMC output: what a receiver on the loopback hears."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import numpy as np
import pytest
from pythonosc.osc_packet import OscPacket

from mien.clock import NS_PER_S
from mien.errors import ConfigError, DeviceError, InputError
from mien.face.camera import Camera
from mien.face.retargeting import EXPRESSION, GAZE, HEAD, MOTION_SIZE, Reference, absolute_params
from mien.face.rig import ARKIT_NAMES, INDEX
from mien.face.subject import Subject
from mien.frames import FaceParams, Float
from mien.stage import Driven
from mien.testing.clock import VirtualClock
from mien.testing.context import FakeContext
from mien_osc.output import VmcOutput, datagrams
from mien_osc.vmc import messages, quaternion

pytestmark = pytest.mark.plugin

Heard = list[tuple[str, list[str | float | int]]]


def smiling_avatar() -> Subject:
    """Whose rest is neither straight nor expressionless."""
    neutral = np.zeros(52, np.float32)
    neutral[[INDEX["mouthSmileLeft"], INDEX["browInnerUp"]]] = 0.6, 0.2
    return Subject(
        "mien-head",
        np.zeros(20, np.float32),
        Camera.guess(512, 512),
        neutral=neutral,
        rest_rotation=np.array([0.1, 0.2, -0.05], np.float32),
        rest_gaze=np.array([[0.05, -0.02], [-0.05, -0.02]], np.float32),
    )


def driven(capture_ns: int = 0, head: tuple[float, ...] = (0, 0, 0), **weights: float) -> Driven:
    avatar = smiling_avatar()
    motion = np.zeros(MOTION_SIZE, np.float32)
    motion[HEAD] = head
    for name, weight in weights.items():
        motion[EXPRESSION][INDEX[name]] = weight
    return Driven(absolute_params(motion, Reference.of(avatar), FaceParams(capture_ns)), avatar)


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        yield listening


def hear(receiver: socket.socket) -> Heard:
    """One frame: everything up to its last word."""
    heard: Heard = []
    while not heard or heard[-1][0] != "/VMC/Ext/Blend/Apply":
        heard += [(m.message.address, m.message.params) for m in OscPacket(receiver.recv(65536)).messages]
    return heard


def shapes(heard: Heard) -> dict[str, float]:
    return {values[0]: values[1] for address, values in heard if address == "/VMC/Ext/Blend/Val"}  # type: ignore[misc]


def bones(heard: Heard) -> dict[str, list[float]]:
    return {values[0]: values[1:] for address, values in heard if address == "/VMC/Ext/Bone/Pos"}  # type: ignore[misc]


async def test_a_receiver_hears_each_frame_whole(receiver: socket.socket) -> None:
    clock = VirtualClock(start_ns=3 * NS_PER_S)
    context = FakeContext(clock=clock, live=True)
    output = VmcOutput(f"//127.0.0.1:{receiver.getsockname()[1]}")
    await output.open(context)
    await clock.advance(NS_PER_S // 2)
    await output.face(driven(jawOpen=0.5, mouthSmileLeft=0.75, head=(0.3, 0.0, 0.0)))
    heard = hear(receiver)
    assert heard[0] == ("/VMC/Ext/OK", [1, 3, 0])
    assert heard[1] == ("/VMC/Ext/T", [0.5])
    assert set(shapes(heard)) == {name[0].upper() + name[1:] for name in ARKIT_NAMES}
    told = {name: value for name, value in shapes(heard).items() if value > 1e-4}
    assert told == {"JawOpen": pytest.approx(0.5), "MouthSmileLeft": pytest.approx(0.75)}
    np.testing.assert_allclose(bones(heard)["Head"], [0, 0, 0, 0, -np.sin(0.15), 0, np.cos(0.15)], atol=1e-5)
    for eye in ("LeftEye", "RightEye"):
        np.testing.assert_allclose(bones(heard)[eye], [0, 0, 0, 0, 0, 0, 1], atol=1e-6)
    await output.face(driven())
    assert max(shapes(hear(receiver)).values()) < 1e-5
    await output.close()
    await output.close()
    assert output.dropped == {}
    assert f"127.0.0.1:{receiver.getsockname()[1]}" in context.notices[0]


async def test_settings_say_where_and_how(receiver: socket.socket) -> None:
    settings = {"port": receiver.getsockname()[1], "capitals": False, "eye_bones": False}
    output = VmcOutput()
    await output.open(FakeContext(settings=settings, live=True))
    await output.face(driven(eyeBlinkRight=1.0))
    heard = hear(receiver)
    assert shapes(heard)["eyeBlinkRight"] == pytest.approx(1.0)
    assert set(bones(heard)) == {"Head"}
    await output.close()


@pytest.mark.parametrize(
    ("turn", "axis", "sign"),
    [
        # Unity is left-handed: a positive turn about y goes to the avatar's right, about x down, about z
        # (which comes out of the face) takes the crown to the avatar's left.
        ((0.4, 0, 0), 1, -1),
        ((0, 0.4, 0), 0, -1),
        ((0, 0, 0.4), 2, -1),
    ],
)
def test_turns_are_those_of_unity(turn: tuple[float, float, float], axis: int, sign: int) -> None:
    expected = np.zeros(4)
    expected[axis], expected[3] = sign * np.sin(0.2), np.cos(0.2)
    np.testing.assert_allclose(quaternion(*turn), expected, atol=1e-6)


def test_eyes_are_told_by_bones_and_by_shapes() -> None:
    avatar = Reference.of(smiling_avatar())
    motion: Float = np.zeros(MOTION_SIZE, np.float32)
    motion[GAZE] = 0.2, 0.1, 0.2, 0.1
    params = absolute_params(motion, avatar, FaceParams(0))
    heard: Heard = [(address, list(values)) for address, values in messages(params, avatar, 0.0)]
    looks = {name for name, value in shapes(heard).items() if value > 0.01}
    assert looks == {"EyeLookOutLeft", "EyeLookInRight", "EyeLookUpLeft", "EyeLookUpRight"}
    x, y, z, _ = bones(heard)["LeftEye"][3:]
    assert x == pytest.approx(-0.05, abs=2e-3)
    assert y == pytest.approx(-0.1, abs=2e-3)
    assert abs(z) < 0.01


def test_every_datagram_passes_any_network() -> None:
    face = driven(jawOpen=0.5)
    sizes = [len(d) for d in datagrams(messages(face.params, Reference.of(face.avatar), 1.0))]
    assert len(sizes) > 1
    assert max(sizes) <= 1400


@pytest.mark.parametrize("address", ["//host:port", "//127.0.0.1:99999", "//:1/x", "//127.0.0.1:1/path"])
async def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError, match=r"vmc://127\.0\.0\.1:39539"):
        await VmcOutput(address).open(FakeContext(live=True))


async def test_an_unknown_host_and_a_wrong_setting_are_told() -> None:
    with pytest.raises(DeviceError, match="not known"):
        await VmcOutput("//no such host").open(FakeContext(live=True))
    with pytest.raises(ConfigError, match="Did you mean 'port'"):
        await VmcOutput().open(FakeContext(settings={"prot": 1}, live=True))


async def test_nobody_listening_is_no_failure(receiver: socket.socket) -> None:
    port = receiver.getsockname()[1]
    receiver.close()
    output = VmcOutput(f"//127.0.0.1:{port}")
    await output.open(FakeContext(live=True))
    for _ in range(5):
        await output.face(driven())
    await output.close()
