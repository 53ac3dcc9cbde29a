"""Camera and voice share the mouth: taken within three frames, given back without a jump, hushed within two."""

import numpy as np
import pytest

from mien.clock import NS_PER_S
from mien.controls import Alive, Controls
from mien.drive.blending import Blending, trust
from mien.drive.heard import Heard, Loudness, Timeline
from mien.driver import Driver, DriverState
from mien.face.camera import Camera
from mien.face.lips import parted
from mien.face.retargeting import BLINK, EXPRESSION, MOTION_SIZE
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams

pytestmark = pytest.mark.unit

JAW, SMILE, BROW = INDEX["jawOpen"], INDEX["mouthSmileLeft"], INDEX["browInnerUp"]
STEP_S = 0.04
STEP_NS = NS_PER_S // 25
SUBJECT = Subject("test", np.zeros(2, np.float32), Camera.guess(512, 512))


def heard(jaw: float = 0.8, confidence: float = 1.0, intensity: float = 0.5) -> Heard:
    expression = np.zeros(52, np.float32)
    expression[JAW] = jaw
    return Heard(expression, confidence, intensity)


def seen(jaw: float = 0.2, smile: float = 0.5):
    motion = np.zeros(MOTION_SIZE, np.float32)
    motion[EXPRESSION.start + JAW] = jaw
    motion[EXPRESSION.start + SMILE] = smile
    motion[EXPRESSION.start + BROW] = 0.7
    return motion


def jaw_of(motion) -> float:
    return float(motion[EXPRESSION.start + JAW])


def test_a_mouth_in_full_view_is_the_cameras_alone():
    blending = Blending()
    for _ in range(20):
        np.testing.assert_array_equal(blending.step(seen(), 1.0, heard(), STEP_S), seen())


def test_a_hidden_mouth_is_the_voices_within_three_frames_and_comes_back_without_a_jump():
    blending = Blending()
    blending.step(seen(), 1.0, heard(), STEP_S)
    taken = [jaw_of(blending.step(seen(), 0.0, heard(), STEP_S)) for _ in range(5)]
    assert taken[2] == pytest.approx(0.8)
    assert max(np.diff([0.2, *taken])) < 0.4
    back = [blending.step(seen(), 1.0, heard(), STEP_S) for _ in range(20)]
    steps = np.diff([0.8, *map(jaw_of, back)])
    assert np.abs(steps).max() < 0.15
    np.testing.assert_array_equal(back[-1], seen())


def test_brows_are_never_the_voices_and_doubt_is_shared_by_coefficient():
    blending = Blending()
    for _ in range(20):
        motion = blending.step(seen(), 0.4, heard(), STEP_S)
    assert motion[EXPRESSION.start + BROW] == np.float32(0.7)
    jaw_share = (jaw_of(motion) - 0.2) / 0.6
    smile_share = (0.5 - motion[EXPRESSION.start + SMILE]) / 0.5
    assert 0.5 < jaw_share < 1
    assert smile_share < jaw_share - 0.1, "a voice tells less about a smile"


def test_a_voice_that_is_silent_or_gone_leaves_the_camera_alone():
    blending = Blending()
    for voice in (heard(jaw=0.0, confidence=0.0), None):
        for _ in range(20):
            motion = blending.step(seen(), 0.7, voice, STEP_S)
        assert jaw_of(motion) == pytest.approx(0.2, abs=0.01)


def test_a_hidden_mouth_rests_while_nobody_speaks():
    blending = Blending()
    for _ in range(10):
        motion = blending.step(seen(jaw=0.9), 0.0, heard(jaw=0.0, confidence=0.0), STEP_S)
    assert jaw_of(motion) == 0


def test_an_interruption_closes_the_mouth_in_two_frames():
    blending = Blending()
    nobody = np.zeros(MOTION_SIZE, np.float32)
    for _ in range(5):
        blending.step(nobody, None, heard(), STEP_S)
    blending.hush()
    # The picture under way may still carry what was heard before.
    first, second = (jaw_of(blending.step(nobody, None, h, STEP_S)) for h in (heard(), None))
    assert 0 < first < 0.4
    assert second == 0


def test_trust_follows_confidence_the_turn_of_the_head_and_the_mouth():
    params = FaceParams(0)
    turned = FaceParams(0, rotation=np.array([0, -1.0, 0], np.float32))
    assert trust(params) == 1
    assert trust(turned) == 0
    assert trust(FaceParams(0, confidence=0.1)) == 0
    assert trust(FaceParams(0, mouth_confidence=0.3)) == pytest.approx(0.3)


def play(driver: Driver, voices, first: int = 0) -> list[FaceParams]:
    return [
        driver.step(None, None, (first + n) * STEP_NS, first + n, voice) for n, voice in enumerate(voices)
    ]


def babble(count: int, seed: int = 0) -> list[Heard]:
    """Syllables: loud and soft, four a second."""
    rng = np.random.default_rng(seed)
    loud = 0.5 + 0.5 * np.sin(np.arange(count) * 2 * np.pi * 4 / 25 + rng.uniform(0, 6)) * rng.uniform(
        0.3, 1, count
    )
    return [heard(jaw=0.6 * x, intensity=float(x)) for x in loud]


def test_a_voice_alone_moves_the_mouth_and_the_face_lives():
    driver = Driver(SUBJECT, Controls())
    frames = play(driver, babble(300))
    assert driver.state is DriverState.DRIVEN
    jaws = np.array([f.expression[JAW] for f in frames])
    assert jaws.std() > 0.1
    assert max(f.expression[BLINK].max() for f in frames) > 0.9
    assert frames[-1].confidence > 0.9
    play(driver, [None] * 30, 300)
    assert driver.state is DriverState.IDLE


def test_a_microphone_in_a_silent_room_drives_nobody():
    driver = Driver(SUBJECT, Controls())
    play(driver, [heard(0.0, 0.0, 0.0)] * 100)
    assert driver.state is DriverState.IDLE


def pitches(frames) -> np.ndarray:
    return np.degrees([f.rotation[0] for f in frames])


def test_who_speaks_moves_the_head_more_and_none_when_not_wanted():
    speaking = play(Driver(SUBJECT, Controls()), babble(400))
    still = play(Driver(SUBJECT, Controls(alive=Alive(nods=0))), babble(400))
    silent = play(Driver(SUBJECT, Controls()), [heard(0.0, 0.0, 0.0)] * 400)
    speed = [np.abs(np.diff(pitches(frames))).mean() for frames in (speaking, still, silent)]
    assert speed[0] > 2 * speed[2]
    assert speed[1] == pytest.approx(speed[2], rel=0.01)
    assert np.abs(np.diff(pitches(speaking))).max() < 3, "never jerks"


def test_the_same_voice_moves_the_face_the_same():
    one, again = (play(Driver(SUBJECT, Controls(), seed=3), babble(200)) for _ in range(2))
    assert all(np.array_equal(a.rotation, b.rotation) for a, b in zip(one, again, strict=True))


def blinks_in(frames) -> int:
    lids = np.array([f.expression[INDEX["eyeBlinkLeft"]] for f in frames]) > 0.5
    return int((lids[1:] & ~lids[:-1]).sum())


def test_amounts_of_blinks_and_saccades():
    def frames(**alive):
        return play(Driver(SUBJECT, Controls(alive=Alive(**alive))), [None] * 1000)

    usual, none, twice = frames(), frames(blinks=0, saccades=0), frames(blinks=2)
    assert 10 <= blinks_in(usual) * 1.5 <= 24, "in 40 seconds"
    assert blinks_in(none) == 0
    assert blinks_in(twice) > 1.5 * blinks_in(usual)
    assert np.std([f.gaze[0, 0] for f in none]) < np.std([f.gaze[0, 0] for f in usual])


def test_a_timeline_answers_between_its_answers_and_not_beyond():
    timeline = Timeline()
    loud = Loudness()
    loud.follow(AudioFrame(np.full((4800, 1), 0.5, np.float32), 48000, 0))
    expressions = [np.full(52, x, np.float32) for x in (0.0, 1.0)]
    timeline.add(
        [FaceParams(n * STEP_NS, expression=e, confidence=1.0) for n, e in enumerate(expressions)], loud
    )
    middle = timeline.at(STEP_NS // 4, STEP_NS)
    assert middle is not None
    assert middle.expression[0] == pytest.approx(0.25)
    assert middle.intensity == pytest.approx(1.0, abs=0.05)
    assert timeline.at(STEP_NS + 10, STEP_NS).expression[0] == 1
    assert timeline.at(3 * STEP_NS, STEP_NS) is None
    timeline.add([FaceParams(0)], loud)
    assert timeline.reached_ns == STEP_NS
    timeline.clear()
    assert timeline.at(0, STEP_NS) is None


@pytest.mark.parametrize("share", [0.1, 0.45, 0.55, 0.9])
def test_lips_that_touch_touch_between_answers_too(share):
    """A p lasts for one or two answers, and pictures are taken at other times than those."""
    apart, closed = np.zeros(52, np.float32), np.zeros(52, np.float32)
    apart[JAW], apart[INDEX["mouthFunnel"]] = 0.3, 0.2
    closed[JAW] = closed[INDEX["mouthClose"]] = 0.1
    timeline = Timeline()
    answers = [FaceParams(n * STEP_NS, expression=e) for n, e in enumerate((apart, closed))]
    timeline.add(answers, Loudness())
    between = timeline.at(round(share * STEP_NS), STEP_NS)
    assert between is not None
    assert (parted(between.expression) < 1e-6) == (share > 0.5)
    assert between.expression[JAW] == pytest.approx(0.3 - 0.2 * share), "the jaw goes on its way"


def test_loudness_is_relative_to_the_voice_and_bad_samples_are_none():
    for level in (0.2, 0.9):
        loud = Loudness()
        samples = np.full((48000, 2), level, np.float32)
        samples[24000:] *= 0.5
        samples[100] = np.nan
        loud.follow(AudioFrame(samples, 48000, 0))
        assert loud.at(NS_PER_S // 4) == pytest.approx(1.0, abs=0.05)
        assert loud.at(3 * NS_PER_S // 4) == pytest.approx(0.5, abs=0.06)
    assert Loudness().at(0) == 0
