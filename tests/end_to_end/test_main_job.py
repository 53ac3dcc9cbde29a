"""The main job through a real browser: a face before Chromium's camera moves the avatar's mouth.

What the camera shows is rendered by the project itself (the built-in avatar, speaking), so the tracker must track
rendered pixels; no parameter takes a short cut. Where the reference clips lie beside the checkout, a real speaker
does the same.
"""

import asyncio
import base64
import io
import itertools

import numpy as np
import pytest
from PIL import Image

import pipeline
from mien.clock import OfflineClock
from mien.config import load_config
from mien.engine import Engine
from mien.face.rig import INDEX
from mien.frames import FaceParams
from mien.testing.context import FakeContext
from mien.testing.stages import MemoryOutput, ScriptedSource

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FRAMES = 200
SECONDS = 9


def speaking(subject):
    """A head that turns a little while its mouth opens and closes, 25 times a second."""
    for n in range(FRAMES):
        t = n / 25
        expression = np.zeros(52, np.float32)
        expression[INDEX["jawOpen"]] = 0.5 * max(0.0, np.sin(2 * np.pi * 0.7 * t)) ** 1.5
        expression[INDEX["mouthSmileLeft"]] = expression[INDEX["mouthSmileRight"]] = 0.1 + 0.1 * np.sin(t)
        turn = np.array([0.03 * np.sin(1.3 * t), 0.08 * np.sin(0.9 * t), 0.02 * np.sin(t)], np.float32)
        yield FaceParams(
            round(t * 1e9),
            rotation=subject.rest_rotation + turn,
            translation=subject.rest_translation.copy(),
            expression=np.clip(expression + subject.neutral, 0, 1),
            gaze=subject.rest_gaze.copy(),
            index=n,
        )


async def film():
    """The built-in avatar speaking, as pictures."""
    engine = Engine(load_config(None), clock=OfflineClock(), live=False)
    try:
        session = await engine.open_session("film")
        subject = session.avatar.content.subject
        output = MemoryOutput()
        await session.add_output(output)
        await session.run_to_end(ScriptedSource(speaking(subject), subject=subject))
        return [picture.pixels.copy() for picture in output.pictures]
    finally:
        await engine.close()


def openings(pictures):
    """How far the mouth is open in each picture, in face heights; NaN where no face is found."""
    from mien_mediapipe.landmarker import MediaPipeLandmarker

    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    try:
        found = []
        for pixels in pictures:
            faces = landmarker.detect(np.ascontiguousarray(pixels))
            p = faces[0].points[:, :2] if faces else None
            found.append(
                np.nan if p is None else np.linalg.norm(p[13] - p[14]) / np.linalg.norm(p[10] - p[152])
            )
        return np.array(found)
    finally:
        landmarker.close()


def correlation_through_the_browser(shown, tmp_path):
    """Show pictures to Chromium's camera; correlate mouth opening shown and returned, frame by frame.

    Once more where a busy machine let through too few frames to judge by.
    """
    y4m = tmp_path / "camera.y4m"
    count = pipeline.write_y4m(shown, y4m, len(shown))
    for _ in range(2):
        seen = pipeline.drive(y4m, seconds=SECONDS, warmup=4, grab=True)
        if len(seen["pictures"]) >= 0.8 * SECONDS * pipeline.FPS:
            break
    returned = [
        (number, np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))))
        for number, data in seen["pictures"]
    ]
    assert len(returned) > 60, "frames came back"
    assert {picture.shape for _, picture in returned} == {(512, 512, 3)}
    given = openings(shown)
    back = openings([picture for _, picture in returned])
    pairs = np.array(
        [
            (given[number], opening)
            for (number, _), opening in zip(returned, back, strict=True)
            if number < count
        ]
    )
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    assert len(pairs) > 0.95 * len(returned), "a face is in every returned picture"
    return np.corrcoef(pairs.T)[0, 1], len(returned)


def test_the_avatar_opens_its_mouth_when_the_driver_does(tmp_path):
    correlation, frames = correlation_through_the_browser(asyncio.run(film()), tmp_path)
    assert correlation >= 0.8, f"{frames} frames came back"


@pytest.mark.data
def test_a_real_speaker_moves_the_avatars_mouth(data, tmp_path):
    clip = pipeline.pictures_of(data / "talk" / "anchor_71s_512.mp4")
    shown = [picture.copy() for picture in itertools.islice(clip, FRAMES)]
    correlation, frames = correlation_through_the_browser(shown, tmp_path)
    assert correlation >= 0.8, f"{frames} frames came back"
