"""Performances in other people's formats: JSON lines, Live Link Face's CSV, WAV, and the commands."""

import errno
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from performers import somebody
from typer.testing import CliRunner

from mien.cli.app import app
from mien.clock import NS_PER_S
from mien.errors import InputError, PackageError
from mien.face.retargeting import EXPRESSION, GAZE, HEAD, Reference, absolute_params, relative_motion
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import DETAIL, AudioFrame, FaceParams
from mien.performance import formats, jsonlines, livelink, wav
from mien.performance.pcm import SoundFormat
from mien.performance.reader import PerformanceReader
from mien.performance.take import Take, save_take

pytestmark = pytest.mark.unit

RATE = 8000


def some_take(count: int = 20, *, sound: bool = True) -> Take:
    rng = np.random.default_rng(1)
    events: list[FaceParams | AudioFrame | Subject] = []
    for i in range(count):
        at_ns = 5 * NS_PER_S + i * NS_PER_S // 25
        events.append(
            FaceParams(
                at_ns,
                (0.2 * rng.normal(size=3)).astype(np.float32),
                np.array([1, 2, -60], np.float32),
                rng.random(52).astype(np.float32),
                (0.1 * rng.normal(size=(2, 2))).astype(np.float32),
                rng.normal(size=(9, 3)).astype(np.float32),
                confidence=0.75,
                index=i,
                detail=rng.normal(0, 0.4, DETAIL).astype(np.float32) if i % 3 else None,
            )
        )
        if sound:
            pcm = rng.integers(-32767, 32767, RATE // 25).astype(np.float32) / 32767
            events.append(AudioFrame(pcm[:, None], RATE, at_ns))
        if i == count // 2:
            events.append(somebody(1))
    return Take(somebody(), 25.0, SoundFormat(RATE, 1) if sound else None, events)


def test_json_lines_lose_nothing(tmp_path: Path) -> None:
    direct, around, lines = (tmp_path / name for name in ("a.performance", "b.performance", "c.jsonl"))
    save_take(some_take(), direct)
    assert jsonlines.write_jsonl(some_take(), lines) == 20
    assert save_take(jsonlines.read_jsonl(lines), around) == 20
    assert around.read_bytes() == direct.read_bytes()
    face = json.loads(lines.read_text().splitlines()[1])
    assert set(face["expression"]) <= set(INDEX)
    with PerformanceReader(around) as reader:
        assert [params.detail is None for params in reader] == [i % 3 == 0 for i in range(20)]


def test_json_lines_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    lines = tmp_path / "c.jsonl"
    jsonlines.write_jsonl(some_take(), lines)
    first, rest = lines.read_text().split("\n", 1)
    for version in (7, None, "1"):
        lines.write_text(json.dumps(json.loads(first) | {"version": version}) + "\n" + rest)
        with pytest.raises(InputError, match=rf"c\.jsonl, line 1.*version {version}.*Update mien"):
            jsonlines.read_jsonl(lines)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"type": "face"', "line 2: this is not JSON"),
        ("[]", "line 2: this is not a JSON object"),
        ('{"type": "face"}', "'capture_ns' is missing"),
        ('{"type": "face", "capture_ns": 1, "rotation": [1, 2]}', "rotation is not 3 finite numbers"),
        ('{"type": "face", "capture_ns": 1, "expression": {"jaw": 1}}', "jaw is no ARKit expression"),
        ('{"type": "face", "capture_ns": 1, "gaze": [[1, NaN], [0, 0]]}', "gaze is not 2x2 finite numbers"),
        ('{"type": "face", "capture_ns": 1, "detail": [[1]]}', "detail is not 23x18x2 finite numbers"),
        ('{"type": "dance", "capture_ns": 1}', "'dance' is none of face, sound, subject"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / "bad.jsonl"
    jsonlines.write_jsonl(some_take(0, sound=False), path)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=r"bad\.jsonl") as raised:
        list(jsonlines.read_jsonl(path).events)
    assert expected in str(raised.value)


SOUND = {"type": "sound", "capture_ns": 0, "pcm16": ""}


@pytest.mark.parametrize(
    "line",
    [
        {"capture_ns": 1e30},
        {"capture_ns": 10**400},
        {"capture_ns": float("inf")},
        {"capture_ns": 1, "expression": []},
        {"capture_ns": 1, "expression": {"jawOpen": 10**400}},
        {"capture_ns": 1, "confidence": 1e300},
        {"capture_ns": 1, "index": float("inf")},
        {"capture_ns": 1, "rotation": {"x": 1}},
        {**SOUND, "capture_ns": -(1 << 63)},
        {**SOUND, "pcm16": 3},
        {"type": "subject", "camera": []},
    ],
)
def test_absurd_lines_are_named(tmp_path: Path, line: dict[str, Any]) -> None:
    path = tmp_path / "bad.jsonl"
    jsonlines.write_jsonl(some_take(1), path)
    path.write_text(path.read_text() + json.dumps({"type": "face", **line}) + "\n")
    with pytest.raises(InputError, match=r"bad\.jsonl, line 5"):
        save_take(jsonlines.read_jsonl(path), tmp_path / "out.performance")


ABSURD_HEADERS: list[dict[str, Any]] = [
    {"sound": {"rate": 0, "channels": 1}},
    {"sound": {"rate": RATE, "channels": 0}},
    {"sound": {"rate": float("inf"), "channels": 1}},
    {"sound": {"rate": 10**400, "channels": 1}},
    {"sound": []},
    {"fps": 10**400},
    {"fps": float("nan")},
    {"fps": 1000},
    {"camera": {"width": float("inf")}},
    {"camera": {"width": 0}},
    {"camera": {"focal": float("nan")}},
    {"camera": {"cx": 10**400}},
    {"epoch": float("inf")},
    {"identity": {"shape": [1, 1], "data": "AAAAAA=="}},
    {"subject": []},
]


@pytest.mark.parametrize("suffix", [".jsonl", ".performance"])
@pytest.mark.parametrize("changes", ABSURD_HEADERS)
def test_absurd_headers_are_refused(tmp_path: Path, suffix: str, changes: dict[str, Any]) -> None:
    path = tmp_path / f"bad{suffix}"
    if suffix == ".jsonl":
        jsonlines.write_jsonl(some_take(1), path)
    else:
        save_take(some_take(1), path)
    first, rest = path.read_bytes().split(b"\n", 1)
    header = json.loads(first)
    for name, value in changes.items():
        if name == "camera":
            header["subject"]["camera"] |= value
        else:
            (header if name in header else header["subject"])[name] = value
    path.write_bytes(json.dumps(header).encode() + b"\n" + rest)
    with pytest.raises((InputError, PackageError), match=r"bad\..*header"):
        jsonlines.read_jsonl(path) if suffix == ".jsonl" else PerformanceReader(path)


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    for name, text in (("a.jsonl", '{"x": 1}\n'), ("b.jsonl", ""), ("c.csv", "a,b\n1,2\n"), ("d.csv", "")):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(InputError, match=name):
            (jsonlines.read_jsonl if name.endswith("l") else livelink.read_livelink)(path)


# --- Live Link Face -----------------------------------------------------------------------------------

HEADER = "Timecode,BlendShapeCount," + ",".join(livelink.COLUMNS)


def row(code: str, **values: float) -> str:
    return f"{code},61," + ",".join(f"{values.get(name, 0.0):.10f}" for name in livelink.COLUMNS)


def recording(path: Path, *rows: str) -> Path:
    path.write_text("\n".join((HEADER, *rows)) + "\n")
    return path


def events(take: Take) -> list[FaceParams]:
    return [event for event in take.events if isinstance(event, FaceParams)]


def test_the_columns_are_those_of_the_app() -> None:
    assert len(livelink.COLUMNS) == 61
    assert HEADER.startswith("Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,")
    assert ",JawForward,JawRight,JawLeft,JawOpen," in HEADER
    assert HEADER.endswith(",TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,"
                           "RightEyeYaw,RightEyePitch,RightEyeRoll")  # fmt: skip


def test_angles_are_turned_round(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.csv", row("01:00:00:00.000", HeadYaw=0.2, HeadPitch=0.1, HeadRoll=0.05,
                                             LeftEyeYaw=0.3, RightEyePitch=0.15, JawOpen=0.5))  # fmt: skip
    take = livelink.read_livelink(path, estimate_rest=False)
    motion = relative_motion(events(take)[0], Reference.of(take.subject))
    np.testing.assert_allclose(motion[HEAD], [-0.2, -0.1, -0.05], atol=1e-5)
    np.testing.assert_allclose(motion[GAZE], [-0.3, 0, 0, -0.15], atol=1e-6)
    assert motion[EXPRESSION][INDEX["jawOpen"]] == pytest.approx(0.5)


@pytest.mark.parametrize(("rate", "step"), [(60, 1), (60, 2), (30, 1), (24, 1)])
def test_the_rate_of_the_timecode_is_found(tmp_path: Path, rate: int, step: int) -> None:
    codes = [f"23:59:{58 + i // rate:02}:{i % rate:02}.652" for i in range(0, 2 * rate, step)]
    codes += [f"00:00:00:{i:02}.652" for i in range(0, 5, step)]
    take = livelink.read_livelink(recording(tmp_path / "a.csv", *map(row, codes)))
    assert take.fps == pytest.approx(rate / step, rel=1e-6)
    times = [params.capture_ns for params in events(take)]
    np.testing.assert_allclose(np.diff(times), step * NS_PER_S / rate, atol=2)
    assert times[0] == 0


def test_a_row_without_a_face_holds_the_last_one(tmp_path: Path) -> None:
    rows = row("00:00:00:00.0", JawOpen=0.5), "00:00:00:01.0,0", row("00:00:00:02.0", JawOpen=0.25)
    frames = events(livelink.read_livelink(recording(tmp_path / "a.csv", "00:00:00:00.0,0", *rows)))
    assert [params.confidence for params in frames] == [1, 0, 1]
    assert [params.expression[INDEX["jawOpen"]] for params in frames] == [0.5, 0.5, 0.25]


def test_the_rest_is_read_off_the_recording(tmp_path: Path) -> None:
    rows = [
        row(f"00:00:00:{i:02}.0", LeftEyePitch=0.2, RightEyePitch=0.2, MouthFrownLeft=0.15) for i in range(50)
    ]
    path = recording(tmp_path / "a.csv", *rows, row("00:00:00:50.0", LeftEyePitch=0.4, RightEyePitch=0.4))
    take = livelink.read_livelink(path)
    frames = events(take)
    first, last = (relative_motion(params, Reference.of(take.subject)) for params in (frames[0], frames[-1]))
    np.testing.assert_allclose(first, 0, atol=1e-6)
    assert last[GAZE.start + 1] == pytest.approx(-0.2, abs=1e-6)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("00:00:00:01.0,61,0.5", "line 3: 3 values where 63 belong"),
        (row("00:00:00:01.0").replace("0.0000000000", "x", 1), "line 3: this row has no numbers"),
        (row("noon"), "'noon' is no timecode"),
        (row("99999999999999:00:00:01.0"), "is no timecode"),
        (row(f"00:00:00:{'9' * 400}"), "is no timecode"),
        (row("00:00:00:00.0"), "lie 0 ms apart"),
        (row("00:00:00:00.01"), "lie 0.166667 ms apart"),
        (row("00:00:09:00.0"), "lie 9000 ms apart"),
        (row("00:00:00:01.0", JawOpen=float("inf")), "not finite"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, line: str, expected: str) -> None:
    with pytest.raises(InputError) as raised:
        livelink.read_livelink(recording(tmp_path / "a.csv", row("00:00:00:00.0"), line))
    assert expected in str(raised.value)


def test_what_is_written_reads_back_as_the_same_motion(tmp_path: Path) -> None:
    person, rng = Reference.of(somebody()), np.random.default_rng(5)
    frames = []
    for i in range(12):
        motion = np.concatenate(
            [0.2 * rng.normal(size=3), np.zeros(3), 0.1 * rng.normal(size=4), rng.random(52)]
        )
        motion[EXPRESSION][INDEX["mouthClose"]] = motion[EXPRESSION][INDEX["jawOpen"]] = 0
        stamp = FaceParams(i * NS_PER_S // 25, index=i)
        frames.append(absolute_params(motion.astype(np.float32), person, stamp))
    path = tmp_path / "out.csv"
    assert livelink.write_livelink(Take(somebody(), 25.0, None, frames), path) == 12
    take = livelink.read_livelink(path, estimate_rest=False)
    back = events(take)
    assert take.fps == pytest.approx(25, rel=1e-3)
    for before, after in zip(frames, back, strict=True):
        assert after.capture_ns == pytest.approx(before.capture_ns, abs=20_000)
        meant = relative_motion(before, person)
        read = relative_motion(after, Reference.of(take.subject))
        np.testing.assert_allclose(read[HEAD], meant[HEAD], atol=1e-4)
        np.testing.assert_allclose(read[GAZE], meant[GAZE], atol=1e-5)
        jaw = INDEX["jawOpen"]
        assert read[EXPRESSION][jaw] == pytest.approx(np.clip(meant[EXPRESSION][jaw], 0, 1), abs=1e-5)


# --- sound --------------------------------------------------------------------------------------------


def test_sound_goes_out_and_comes_back_in_step(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    assert wav.write_wav(some_take(), path) == pytest.approx(0.8)
    sound = wav.read_wav(path)
    spoken = np.concatenate([e.samples for e in some_take().events if isinstance(e, AudioFrame)])
    np.testing.assert_allclose(sound.samples, spoken, atol=1e-4)
    csv = recording(tmp_path / "a.csv", *(row(f"10:00:00:{i:02}.0") for i in range(0, 48, 2)))
    take = livelink.read_livelink(csv, sound=sound)
    assert take.sound == SoundFormat(RATE, 1)
    heard = [event for event in take.events if isinstance(event, AudioFrame)]
    np.testing.assert_allclose(np.concatenate([e.samples for e in heard]), spoken, atol=1e-4)
    assert [e.capture_ns for e in heard] == [i * NS_PER_S // 10 for i in range(8)]
    # As the phone has it: the sound begins with the recording, which here shows a face only after 0.4 s.
    blind = [f"10:00:00:{i:02}.0,0" for i in range(0, 24, 2)]
    late = recording(tmp_path / "b.csv", *blind, *(row(f"10:00:00:{i:02}.0") for i in range(24, 48, 2)))
    take = livelink.read_livelink(late, sound=sound)
    taken = list(take.events)
    heard = [event for event in taken if isinstance(event, AudioFrame)]
    assert heard[0].capture_ns == 0
    assert next(event for event in taken if isinstance(event, FaceParams)).capture_ns == 0
    np.testing.assert_allclose(
        np.concatenate([e.samples for e in heard]), spoken[round(0.4 * RATE) :], atol=1e-4
    )
    path.write_bytes(path.read_bytes()[:24] + bytes(4) + path.read_bytes()[28:])
    with pytest.raises(InputError, match="sound rate is 0"):
        wav.read_wav(path)


def test_what_cannot_be_written_is_named_as_the_user_named_it(tmp_path: Path) -> None:
    def full() -> Iterator[FaceParams]:
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    with pytest.raises(InputError, match=r"no sound to write\. Track a clip that has some"):
        formats.write_as(some_take(sound=False), tmp_path / "voice.wav")
    for suffix in (".jsonl", ".csv", ".wav"):
        path = tmp_path / f"full{suffix}"
        with pytest.raises(InputError, match=f"^Cannot write {path}: No space"):
            formats.write_as(replace(some_take(), events=full()), path)
    assert list(tmp_path.iterdir()) == []


# --- commands -----------------------------------------------------------------------------------------


def mien(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["performance", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_commands_work_in_a_row(tmp_path: Path) -> None:
    a, b, c, lines = (
        tmp_path / name for name in ("a.performance", "b.performance", "c.performance", "c.jsonl")
    )
    save_take(some_take(), a)
    mien("cut", a, "--from", 0.2, "--to", 0.6, "--out", b)
    mien("resample", b, "--fps", 50, "--out", c)
    mien("edit", c, "--scale", "mouthSmile=1.5", "--head", 0.5, "--smooth", 0.03, "--mirror", "--out", b)
    mien("join", a, b, "--out", c)
    mien("export", c, "--out", lines)
    assert "Wrote" in mien("import", lines, "--out", a)
    summary = json.loads(mien("info", a, "--json"))
    assert summary["frames"] == 20 + 19
    assert summary["duration_s"] == pytest.approx(0.8 + 0.4)
    assert summary["sound"] == {"rate": RATE, "channels": 1}
    assert "frames per second" in mien("info", a)
    with PerformanceReader(a) as reader:
        assert reader.complete


def test_what_a_crash_left_is_not_overwritten(tmp_path: Path) -> None:
    part, out = tmp_path / "take.performance.part", tmp_path / "take.performance"
    save_take(some_take(), tmp_path / "whole.performance")
    part.write_bytes((tmp_path / "whole.performance").read_bytes()[:-30])
    before = part.read_bytes()
    mien("cut", part, "--out", out)
    with PerformanceReader(part) as left, PerformanceReader(out) as saved:
        assert saved.complete
        assert len(saved) == len(left)
    mien("cut", part, "--out", tmp_path / "saved.performance")
    (tmp_path / "a.csv.part").write_text("mine")
    mien("export", out, "--out", tmp_path / "a.csv")
    assert part.read_bytes() == before
    assert (tmp_path / "a.csv.part").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("cut", "a.performance", "--out", "b.mp4"), "would not be known as a performance"),
        (("cut", "a.performance", "--out", "a.performance"), "would be overwritten"),
        (("edit", "a.performance", "--scale", "jawOpen", "--out", "b.performance"), "not NAME=NUMBER"),
        (("export", "a.performance", "--out", "b.txt"), "tells no format"),
        (("import", "none.csv", "--out", "b.performance"), "There is no file"),
    ],
)
def test_mistakes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save_take(some_take(), Path("a.performance"))
    with pytest.raises(InputError, match=expected):
        CliRunner().invoke(app, ["performance", *arguments], catch_exceptions=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.performance"]
