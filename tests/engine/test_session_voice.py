"""A voice that drives a session, alone and beside a camera, live and offline."""

import asyncio
import hashlib

import numpy as np
import pytest

from mien.clock import NS_PER_S, OfflineClock
from mien.errors import DeviceError
from mien.face.rig import INDEX
from mien.frames import AudioFrame
from mien.stage import MediaInfo
from mien.testing.stages import MemoryOutput, ScriptedSource
from world import INTERVAL, MS, beep, picture, pose, world

pytestmark = pytest.mark.unit

JAW = INDEX["jawOpen"]
SOUND = MediaInfo(audio_rate=48000, title="voice")
LOOK_AHEAD = 120 * MS


def talking(loud, count=100, start_ns=0):
    """20 ms each; `loud(n)` says how far the mouth is open in the n-th."""
    return [beep(n, start_ns, loud(n)) for n in range(count)]


def voice(items, **options):
    """Sound comes when its last sample has been taken."""

    class Microphone(ScriptedSource):
        async def frames(self):
            for item in self._items:
                await self._context.clock.sleep_until(item.capture_ns + item.duration_ns)
                yield item
            if self._fails is not None:
                raise self._fails

    return Microphone(items, info=SOUND, **options)


def jaws(w):
    """Capture time and how far the mouth of the picture is open."""
    return [(p.capture_ns, float(p.expression[JAW])) for p in w.renderers[-1].rendered]


async def test_a_voice_alone_makes_the_pictures_at_the_frame_rate():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := MemoryOutput())
        await session.drive(lambda: voice(talking(lambda n: 0.8 if 50 <= n < 75 else 0.0, 200)))
        await w.clock.advance(4 * NS_PER_S)
        assert not w.trackers, "there is nothing to track"
        times = np.array(
            [p.capture_ns for p in output.pictures if NS_PER_S // 2 < p.capture_ns < 3.5 * NS_PER_S]
        )
        assert np.all(np.diff(times) == INTERVAL)
        mouth = [jaw for at, jaw in jaws(w) if 1.1 * NS_PER_S < at < 1.4 * NS_PER_S]
        assert min(mouth) > 0.7, "it is the picture of that very moment that opens the mouth"
        assert max(jaw for at, jaw in jaws(w) if 0.5 * NS_PER_S < at < 0.9 * NS_PER_S) < 0.05
        assert max(jaw for at, jaw in jaws(w) if 1.6 * NS_PER_S < at < 3.5 * NS_PER_S) < 0.05
        assert session.snapshot()["late"] == 0


async def test_the_sound_waits_for_the_pictures_that_a_voice_makes():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := MemoryOutput())
        await session.drive(lambda: voice(talking(lambda n: 0.5, 300)))
        await w.clock.advance(6 * NS_PER_S)
        waits = [at - a.capture_ns for a, at in zip(output.sound, output.sound_times, strict=True)]
        # 120 ms of look-ahead, up to a frame until the next picture is due, and the frame's own length.
        assert LOOK_AHEAD <= waits[-1] <= LOOK_AHEAD + 2 * INTERVAL
        assert np.ptp(waits[100:]) < 10 * MS


async def test_the_first_motion_comes_a_frame_after_the_look_ahead():
    shown = []

    async with world(before_render=lambda params: shown.append((w.clock.now_ns(), params))) as w:
        session = await w.engine.open_session("main")
        await session.drive(lambda: voice(talking(lambda n: 0.8 if n >= 50 else 0.0, 100)))
        await w.clock.advance(2 * NS_PER_S)
        first = next(at for at, params in shown if params.expression[JAW] > 0.2)
        assert first - NS_PER_S <= LOOK_AHEAD + INTERVAL


async def test_a_voice_beside_a_camera_changes_nothing_while_the_mouth_is_seen():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := MemoryOutput())
        await session.drive(lambda: ScriptedSource([picture(n, grey=100) for n in range(100)]))
        await session.attach_voice(voice(talking(lambda n: 1.0, 200)))
        await w.clock.advance(3 * NS_PER_S)
        seen = [jaw for at, jaw in jaws(w) if at > NS_PER_S]
        assert np.ptp(seen) < 0.02
        assert session.voice is not None
        assert len(output.sound) > 100


class Speech(ScriptedSource):
    """Speaks, is silent for two seconds, not even sending silence, and speaks again."""

    async def frames(self):
        for start_ns in (NS_PER_S, 4 * NS_PER_S):
            for n in range(50):
                await self._context.clock.sleep_until(start_ns + n * 20 * MS)
                yield beep(n, start_ns, 0.5)
        await asyncio.Event().wait()


@pytest.mark.parametrize("interrupted", [False, True])
async def test_pictures_flow_evenly_whether_anything_is_said_or_not(interrupted):
    shown = []

    async with world(before_render=lambda p: shown.append((w.clock.now_ns(), p.capture_ns))) as w:
        session = await w.engine.open_session("main")
        await session.drive(lambda: ScriptedSource([picture(n, grey=100) for n in range(150)]))
        await session.attach_voice(Speech([], info=SOUND))
        await w.clock.advance(1500 * MS)
        if interrupted:
            session.interrupt_voice()
        await w.clock.advance(4 * NS_PER_S)
        late = [at - captured for at, captured in shown if at > NS_PER_S // 2]
        assert len(late) >= 120
        assert np.ptp(late) <= MS
        assert late[0] == pytest.approx(session._hearing.lag_ns, abs=MS)


@pytest.mark.parametrize("lost", ["no face", "unplugged"])
async def test_the_voice_takes_the_mouth_when_the_face_is_lost_and_gives_it_back(lost):
    frames = [n for n in range(150) if lost == "no face" or not 50 <= n < 100]

    async with world() as w:
        session = await w.engine.open_session("main")
        pictures = [picture(n, grey=0 if lost == "no face" and 50 <= n < 100 else 40) for n in frames]
        await session.drive(lambda: ScriptedSource(pictures))
        await session.attach_voice(voice(talking(lambda n: 0.9, 300)))
        await w.clock.advance(6 * NS_PER_S)
        mouth = dict(jaws(w))
        went = 50 * INTERVAL
        assert max(jaw for at, jaw in mouth.items() if NS_PER_S < at < went) < 0.4
        taken = [jaw for at, jaw in sorted(mouth.items()) if went <= at < 99 * INTERVAL]
        assert max(taken[:3]) > 0.85, "within three frames"
        assert min(taken[3:]) > 0.8
        back = [jaw for at, jaw in sorted(mouth.items()) if at >= 100 * INTERVAL]
        assert max(np.abs(np.diff([taken[-1], *back]))) < 0.25, "without a jump"
        assert max(back[15:40]) < 0.4


async def test_a_voice_that_falls_silent_or_ends_leaves_the_camera_alone():
    shown = []

    async with world(before_render=lambda params: shown.append(w.clock.now_ns())) as w:
        session = await w.engine.open_session("main")
        await session.drive(lambda: ScriptedSource([picture(n, grey=100) for n in range(150)]))
        await session.attach_voice(speaker := voice(talking(lambda n: 0.5, 50)))
        await w.clock.advance(3 * NS_PER_S)
        assert speaker.closed == 1
        assert session.voice is None
        assert max(np.diff([at for at in shown if at > NS_PER_S // 2])) <= 3 * INTERVAL
        total = session.trace.durations_ms("total")
        assert total[-1] < 20, "nobody waits for a voice that has left"


async def test_an_interruption_closes_the_mouth_within_two_frames_and_drops_the_sound():
    shown = []

    async with world(before_render=lambda p: shown.append((w.clock.now_ns(), p.expression[JAW]))) as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := MemoryOutput())

        class Queue(ScriptedSource):
            """A program that has pushed four seconds, and takes the rest back when it is interrupted."""

            interrupted = False

            async def frames(self):
                for n in range(200):
                    if self.interrupted:
                        break
                    yield beep(n, level=0.9)
                    await self._context.clock.sleep_until((n + 1) * 20 * MS)
                await asyncio.Event().wait()

        await session.attach_voice(source := Queue([], info=SOUND))
        await w.clock.advance(2 * NS_PER_S)
        assert shown[-1][1] > 0.8
        source.interrupted = True
        session.interrupt_voice()
        count = len(output.sound)
        await w.clock.advance(NS_PER_S)
        after = [jaw for at, jaw in shown if at > 2 * NS_PER_S]
        assert max(after[2:]) < 0.02, "closed within two frames"
        assert (
            next(at for at, jaw in shown if at > 2 * NS_PER_S and jaw < 0.02) <= 2 * NS_PER_S + 2 * INTERVAL
        )
        assert len(output.sound) <= count + 1
        assert w.listeners[0].resets >= 1


class LateMicrophone(ScriptedSource):
    """Stamped 120 ms late, in blocks of 10 ms."""

    async def frames(self):
        for n in range(100):
            start_ns = 880 * MS + n * 10 * MS
            await self._context.clock.sleep_until(start_ns + 130 * MS)
            yield AudioFrame(np.full((480, 1), 0.25, np.float32), 48000, start_ns)


async def test_after_an_interruption_a_voice_that_comes_later_loses_nothing():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := MemoryOutput())
        await session.attach_voice(voice(talking(lambda n: 0.5, 200)))
        await w.clock.advance(NS_PER_S)
        await session.attach_voice(LateMicrophone([], info=SOUND))
        await w.clock.advance(2 * NS_PER_S)
        assert "sound out of order" not in session.snapshot()["dropped"]
        assert sum(len(a.samples) == 480 for a in output.sound) == 100
        ends = [a.capture_ns + a.duration_ns for a in output.sound]
        assert all(b.capture_ns >= end for end, b in zip(ends, output.sound[1:], strict=False))


async def test_after_an_interruption_nothing_of_the_last_voice_is_heard():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.attach_voice(voice(talking(lambda n: 0.5, 200)))
        await w.clock.advance(NS_PER_S)
        await session.attach_voice(LateMicrophone([], info=SOUND))
        await w.clock.advance(300 * MS)
        heard = session._hearing.at(920 * MS)
        assert heard is not None
        assert heard.intensity == pytest.approx(0.5, abs=0.03), "of the loudest of late"


@pytest.mark.parametrize("beside", [False, True])
async def test_whoever_ends_is_heard_out(beside):
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := MemoryOutput())
        speaker = voice(talking(lambda n: 0.5, 50))
        await (session.attach_voice(speaker) if beside else session.attach_source(speaker))
        await w.clock.advance(2 * NS_PER_S)
        assert len(output.sound) == 50
        assert session.voice is session.attached is None


@pytest.mark.parametrize("drive", ["auto", "both"])
async def test_a_camera_that_comes_and_goes_does_not_interrupt_the_voice(drive):
    async with world(f"run.drive={drive}") as w:
        session = await w.engine.open_session("main")
        await session.attach_voice(voice(talking(lambda n: 0.9, 300)))
        await w.clock.advance(NS_PER_S)
        resets = w.listeners[0].resets
        await session.attach_source(camera := ScriptedSource([picture(n, grey=0) for n in range(25, 200)]))
        await w.clock.advance(NS_PER_S)
        await session.detach_source(camera)
        await w.clock.advance(NS_PER_S)
        assert w.listeners[0].resets == resets
        assert min(jaw for at, jaw in jaws(w) if at > NS_PER_S) > 0.7


async def test_a_voice_beside_a_recording_has_the_mouth():
    async with world() as w:
        session = await w.engine.open_session("main")
        items = [pose(n, jaw=0.1) for n in range(200)]
        await session.drive(lambda: ScriptedSource(items, subject=w.engine.default_avatar.content.subject))
        await session.attach_voice(voice(talking(lambda n: 0.9, 200)))
        await w.clock.advance(3 * NS_PER_S)
        assert min(jaw for at, jaw in jaws(w) if NS_PER_S < at < 2.5 * NS_PER_S) > 0.8


async def test_drive_camera_and_drive_voice_look_and_listen_to_nothing_else():
    items = sorted(
        [picture(n, grey=100) for n in range(50)] + talking(lambda n: 0.9), key=lambda i: i.capture_ns
    )
    info = MediaInfo(width=4, height=4, audio_rate=48000)
    for drive in ("camera", "voice", "both", "auto"):
        async with world(f"run.drive={drive}") as w:
            session = await w.engine.open_session("main")
            await session.drive(lambda: ScriptedSource(items, info=info))
            await w.clock.advance(2 * NS_PER_S)
            assert bool(w.trackers) == (drive != "voice")
            assert bool(w.listeners) == (drive in {"voice", "both"})


async def test_a_camera_without_sound_is_no_speaker():
    async with world("run.drive=both") as w:
        session = await w.engine.open_session("main")
        await session.drive(lambda: ScriptedSource([picture(n, grey=100) for n in range(100)]))
        await w.clock.advance(NS_PER_S)
        assert session._hearing.lag_ns == 0, "its pictures are due as early as without a voice"


@pytest.mark.parametrize("live", [False, True])
async def test_who_turns_out_to_have_sound_is_heard(live):
    items = sorted(
        [picture(n, grey=0 if n > 25 else 60) for n in range(50)] + talking(lambda n: 0.9),
        key=lambda i: i.capture_ns,
    )
    async with world("run.drive=both", live=live, clock=None if live else OfflineClock()) as w:
        session = await w.engine.open_session("main")
        if live:
            await session.drive(lambda: ScriptedSource(items))
            await w.clock.advance(2 * NS_PER_S)
        else:
            await session.run_to_end(ScriptedSource(items))
        assert min(jaw for at, jaw in jaws(w) if 1.3 * NS_PER_S < at < 1.8 * NS_PER_S) > 0.7


async def test_who_is_tried_again_and_turns_out_to_have_sound_is_heard():
    made = []

    def camera():
        fails = None if made else DeviceError("pulled out; plug it in")
        made.append(ScriptedSource(talking(lambda n: 0.9, 25, w.clock.now_ns()), fails=fails))
        return made[-1]

    async with world("run.drive=both") as w:
        session = await w.engine.open_session("main")
        await session.drive(camera)
        await w.clock.advance(2 * NS_PER_S)
        assert [source.closed for source in made] == [1, 1]
        assert max(jaw for at, jaw in jaws(w) if at < 600 * MS) > 0.7
        assert max(jaw for at, jaw in jaws(w) if at > NS_PER_S) > 0.7


async def test_camera_and_sound_that_stall_together_leave_no_picture_waiting():
    shown = []

    class Stalls(ScriptedSource):
        async def frames(self):
            async for item in super().frames():
                yield item
            await asyncio.Event().wait()

    items = sorted(
        [picture(n, grey=100) for n in range(50)] + talking(lambda n: 0.5), key=lambda i: i.capture_ns
    )
    info = MediaInfo(width=4, height=4, audio_rate=48000)
    async with world("run.drive=both", before_render=lambda p: shown.append((w.clock.now_ns(), p))) as w:
        session = await w.engine.open_session("main")
        await session.drive(lambda: Stalls(items, info=info))
        await w.clock.advance(4 * NS_PER_S)
        assert max(np.diff([at for at, _ in shown if at > NS_PER_S])) <= 8 * INTERVAL
        assert 49 * INTERVAL in {p.capture_ns for _, p in shown}, "the last one is seen"


async def test_a_failing_listener_is_restarted_and_sound_and_pictures_go_on():
    def before(frame):
        if frame.capture_ns == 500 * MS:
            raise RuntimeError("not a number")

    async with world(before_listen=before) as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := MemoryOutput())
        await session.drive(lambda: voice(talking(lambda n: 0.7, 200)))
        await w.clock.advance(700 * MS)
        assert session.state == "degraded"
        await w.clock.advance(3 * NS_PER_S)
        assert len(w.listeners) == 2
        assert w.listeners[0].closed == 1
        assert session.state == "driven"
        assert any("not a number" in n.text for n in session.board.recent)
        assert np.diff([p.capture_ns for p in output.pictures]).max() <= 5 * INTERVAL
        assert len(output.sound) > 150


async def test_a_voice_that_cannot_be_opened_interrupts_nobody():
    class Unplugged(ScriptedSource):
        async def open(self, context):
            await context.clock.sleep(50 * MS)
            raise DeviceError("There is no microphone. Plug one in.")

    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := MemoryOutput())
        await session.drive(lambda: voice(talking(lambda n: 0.5, 100)))
        for _ in range(5):
            await w.clock.advance(300 * MS)
            await session.attach_voice(Unplugged([]))
        await w.clock.advance(2 * NS_PER_S)
        assert len(output.sound) == 100
        assert min(jaw for at, jaw in jaws(w) if 0.5 * NS_PER_S < at < 1.8 * NS_PER_S) > 0.4


async def test_whoever_waits_for_the_floor_is_told():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.voice_vacant()
        for speaker in (voice(talking(lambda n: 0.5, 25)), voice([], fails=DeviceError("unplugged"))):
            await session.attach_voice(speaker)
            waiting = asyncio.create_task(session.voice_vacant())
            await asyncio.sleep(0)
            assert not waiting.done()
            await w.clock.advance(NS_PER_S)
            assert waiting.done()


async def test_a_voice_goes_on_until_the_next_one_is_open():
    class Slow(ScriptedSource):
        async def open(self, context):
            await super().open(context)
            await context.clock.sleep(500 * MS)
            if self._fails is not None:
                raise self._fails

    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := MemoryOutput())
        await session.attach_voice(first := voice(talking(lambda n: 0.5, 300)))
        await w.clock.advance(NS_PER_S)
        await session.attach_voice(Slow([], fails=DeviceError("There is no microphone.")))
        await w.clock.advance(NS_PER_S)
        assert (first.closed, session.voice) == (0, first)
        await session.attach_voice(second := Slow([]))
        assert session.voice is second
        await w.clock.advance(400 * MS)
        assert first.closed == 0
        sound = [a.capture_ns for a in output.sound]
        assert np.diff(sound).max() == 20 * MS, "nobody is cut short"
        await session.attach_voice(third := voice(talking(lambda n: 0.5, 300)))
        await w.clock.advance(200 * MS)
        assert (first.closed, second.closed, third.closed, session.voice) == (1, 1, 0, third)


@pytest.mark.parametrize("way", ["beside", "attached", "configured"])
async def test_the_last_word_moves_the_mouth(way):
    async with world() as w:
        session = await w.engine.open_session("main")
        speaker = voice(talking(lambda n: 0.8, 50))
        if way == "beside":
            await session.attach_voice(speaker)
        elif way == "attached":
            await session.attach_source(speaker)
        else:
            await session.drive(lambda: speaker)
        await w.clock.advance(2 * NS_PER_S)
        last = [jaw for at, jaw in jaws(w) if 860 * MS < at < NS_PER_S]
        assert len(last) == 3
        assert min(last) > 0.7
        assert max(jaw for at, jaw in jaws(w) if at > 1200 * MS) < 0.05


async def test_a_voice_that_fails_is_told_and_closed():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.attach_voice(
            gone := voice(talking(lambda n: 0.5, 10), fails=DeviceError("unplugged; plug it in"))
        )
        await w.clock.advance(NS_PER_S)
        assert gone.closed == 1
        assert any("plug it in" in n.text for n in session.board.recent)
        late = voice(talking(lambda n: 0.5, 10))
        await w.engine.close_session("main")
        await session.attach_voice(late)
        assert (late.opened, late.closed) == (0, 1)


async def rendered(items, *settings, info=SOUND):
    async with world(*settings, live=False, clock=OfflineClock()) as w:
        session = await w.engine.open_session("offline")
        await session.add_output(output := MemoryOutput())
        count = await session.run_to_end(ScriptedSource(items, info=info))
        return count, output, jaws(w)


async def test_offline_every_picture_of_a_voice_is_made_the_same_every_time():
    rng = np.random.default_rng(5)
    samples = rng.uniform(-1, 1, (48000 * 2, 1)).astype(np.float32)
    samples[::7] *= np.linspace(0, 1, len(samples[::7]), dtype=np.float32)[:, None]
    digests = set()
    for chunk in (960, 1024, 48000 * 2):
        items = [
            AudioFrame(samples[at : at + chunk].copy(), 48000, at * NS_PER_S // 48000)
            for at in range(0, len(samples), chunk)
        ]
        count, output, mouths = await rendered(items)
        assert count == 50
        assert [p.capture_ns for p in output.pictures] == [n * INTERVAL for n in range(50)]
        assert sum(len(a.samples) for a in output.sound) == len(samples)
        digests.add(hashlib.sha256(repr(mouths).encode()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("fps", [25, 60, 240])
async def test_offline_both_are_heard_to_the_end(fps):
    step = NS_PER_S // fps
    pictures = [picture(n, grey=0 if n > fps else 60) for n in range(2 * fps)]
    pictures = [type(p)(p.pixels, n * step, index=n) for n, p in enumerate(pictures)]
    items = sorted([*pictures, *talking(lambda n: 0.9)], key=lambda i: i.capture_ns)
    info = MediaInfo(width=4, height=4, audio_rate=48000)
    settings = ("run.drive=both", f"video.fps={min(fps, 60)}")
    results = [await rendered(items, *settings, info=info) for _ in range(2)]
    count, _, mouths = results[0]
    assert count == 2 * fps
    assert mouths == results[1][2]
    assert max(jaw for at, jaw in mouths if 0.5 * NS_PER_S < at < 0.9 * NS_PER_S) < 0.5
    assert min(jaw for at, jaw in mouths if 1.2 * NS_PER_S < at < 1.97 * NS_PER_S) > 0.8
