"""Input as it comes: what is taken, what is refused in one line, and that nothing half-written is ever left."""

import json
import os
import signal
import socket
import sys
import zipfile
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, coffee

from mien.cli.main import run_app
from mien.drive.recorder import Recorder
from mien.performance.reader import PerformanceReader
from mien.pipeline import IN_FLIGHT
from mien_av.videofile import VideoFileOutput

pytestmark = [pytest.mark.plugin, pytest.mark.slow]

FACE = Image.fromarray(astronaut()).crop((60, 0, 444, 384))


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def mien(capfd, monkeypatch):
    """Run a command in this process: what a start costs is paid once."""

    def run(*arguments):
        if arguments[0] == "run" and "--port" not in arguments:
            arguments = (*arguments, "--port", 0)  # whatever else runs on this machine
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            run_app()
        except SystemExit as end:
            code = end.code or 0
        out, err = capfd.readouterr()
        # The networks' C++ logs its greetings.
        err = "\n".join(
            line for line in err.splitlines() if not line.startswith(("WARNING:", "W0000", "I0000"))
        )
        return Said(code, out, err)

    return run


def refused(said, *words):
    assert said.code == 2, said
    assert said.err.count("\n") == 0, said.err
    for word in ("mien: ", *words):
        assert word in said.err, said.err
    return True


# --- what is given ------------------------------------------------------------------------------------


def scene(n, faces=1, size=(480, 360)):
    """A portrait that is moved about, on grey; the second face is smaller."""
    canvas = Image.new("RGB", size, (70, 80, 90))
    canvas.paste(FACE.resize((250, 250)), (20 + 4 * (n % 5), 50 + 3 * (n % 7)))
    if faces > 1:
        canvas.paste(FACE.resize((170, 170)), (300, 100))
    return np.asarray(canvas)


def write_clip(path, pictures, times_ms=None, pix_fmt="yuv420p"):
    pictures = list(pictures)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, options={"preset": "ultrafast"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        for pixels, time_ms in zip(pictures, times_ms or range(0, 40 * len(pictures), 40), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", 48000, layout="mono")
        for block in range(20):
            piece = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            piece.sample_rate, piece.pts, piece.time_base = 48000, 1024 * block, Fraction(1, 48000)
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def cut(path, share=0.6):
    data = path.read_bytes()
    short = path.with_stem(path.stem + "_cut")
    short.write_bytes(data[: int(share * len(data))])
    return short


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clips") / "face.mp4", map(scene, range(8)))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Written by the first test of `avatar create`, which takes seconds."""
    return tmp_path_factory.mktemp("avatars") / "two.avatar"


@pytest.fixture
def avatar(package, tmp_path, mien):
    if not package.exists():
        photo = tmp_path.parent / f"{tmp_path.name}.png"
        Image.fromarray(scene(0)).save(photo)
        assert mien("avatar", "create", photo, "--out", package, "--consent", "self").code == 0
    return package


@pytest.fixture
def performance(tmp_path_factory, clip, mien):
    path = tmp_path_factory.mktemp("performances") / "face.performance"
    assert mien("track", clip, "--out", path).code == 0
    return path


# --- photos -------------------------------------------------------------------------------------------


def test_the_largest_of_several_faces_is_used_and_that_is_said(tmp_path, package, mien):
    Image.fromarray(scene(0, faces=2)).save(tmp_path / "two.png")
    said = mien("avatar", "create", tmp_path / "two.png", "--out", package, "--consent", "self")
    assert said.code == 0, said
    assert "2 faces" in said.err
    assert "the largest" in said.err
    assert "the person in the picture agreed" in mien("avatar", "show", package).out


def test_a_tiny_grey_turned_transparent_photo_is_taken_with_a_word_on_each(tmp_path, mien):
    small = FACE.resize((64, 64)).convert("LA")
    small.putpixel((0, 0), (0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    small.rotate(90).save(tmp_path / "small.png", exif=exif)
    said = mien(
        "avatar", "create", tmp_path / "small.png", "--out", tmp_path / "s.avatar", "--consent", "self"
    )
    assert said.code == 0, said
    for word in ("64x64", "too small", "greyscale", "transparent", "upright"):
        assert word in said.err, said.err


def test_photos_that_show_nobody_or_are_none_are_refused(tmp_path, mien):
    Image.fromarray(coffee()).save(tmp_path / "noface.jpg")
    FACE.save(tmp_path / "face.jpg")
    cut(tmp_path / "face.jpg")
    (tmp_path / "text.jpg").write_text("this is no picture")
    (tmp_path / "empty.jpg").touch()
    for name, word in [
        ("noface.jpg", "No face"),
        ("face_cut.jpg", "cut short"),
        ("text.jpg", "not an image"),
        ("empty.jpg", "is empty"),
    ]:
        photo = tmp_path / name
        assert refused(
            mien("avatar", "create", photo, "--out", tmp_path / "x.avatar", "--consent", "self"), name, word
        )
    assert not list(tmp_path.glob("*avatar*"))
    assert not list(tmp_path.glob(".*"))


def test_consent_must_be_words(tmp_path, mien):
    FACE.save(tmp_path / "face.jpg")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    (tmp_path / "empty.txt").touch()
    for name in ("binary.txt", "empty.txt", "missing.txt"):
        create = ("avatar", "create", tmp_path / "face.jpg", "--out", tmp_path / "x.avatar")
        assert refused(mien(*create, "--consent", tmp_path / name), name)


def test_a_photo_is_never_overwritten(tmp_path, mien):
    FACE.save(tmp_path / "face.jpg")
    before = (tmp_path / "face.jpg").read_bytes()
    create = ("avatar", "create", tmp_path / "face.jpg", "--consent", "self", "--out")
    assert refused(mien(*create, tmp_path / "face.jpg"), "face.avatar")
    assert refused(mien(*create, tmp_path), "is a folder")
    assert refused(mien(*create, tmp_path / "none" / "x.avatar"), "There is no folder")
    assert (tmp_path / "face.jpg").read_bytes() == before


# --- packages -----------------------------------------------------------------------------------------


def rewritten(package, path, change=lambda manifest: None, extra=()):
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "manifest.json":
                manifest = json.loads(data)
                change(manifest)
                data = json.dumps(manifest).encode()
            new.writestr(name, data)
        for name, data in extra:
            new.writestr(name, data)


def test_packages_that_are_not_used(tmp_path, avatar, mien):
    rewritten(avatar, tmp_path / "newer.avatar", lambda m: m.update(version=99))
    rewritten(avatar, tmp_path / "unconsented.avatar", lambda m: m.pop("consent"))
    rewritten(avatar, tmp_path / "foreign.avatar", lambda m: m.update(renderer="phoot"))
    rewritten(avatar, tmp_path / "escaping.avatar", extra=[("../../evil.txt", b"x")])
    rewritten(avatar, tmp_path / "bomb.avatar", extra=[("arrays/bomb.npy", bytes(257 << 20))])
    (tmp_path / "cut.avatar").write_bytes(avatar.read_bytes()[:5000])
    (tmp_path / "text.avatar").write_text("hello")
    for name, word in [
        ("newer", "--upgrade"),
        ("unconsented", "consent"),
        ("escaping", "leaves the package"),
        ("bomb", "zip bomb"),
        ("cut", "cut short"),
        ("text", "not an avatar package"),
    ]:
        drawn = ("--avatar", tmp_path / f"{name}.avatar", "--out", tmp_path / "out.mp4")
        assert refused(mien("render", "--drive", "demo", *drawn), f"{name}.avatar", word)
        assert refused(mien("run", "--source", "demo", *drawn), f"{name}.avatar", word)
    drawn = ("--avatar", tmp_path / "foreign.avatar", "--out", tmp_path / "out.mp4")
    assert refused(mien("render", "--drive", "demo", *drawn), "'photo'")
    assert not list(tmp_path.glob("*.mp4*"))
    assert not list(tmp_path.glob(".*"))


# --- clips and performances ---------------------------------------------------------------------------


def test_several_faces_in_a_clip(tmp_path, mien):
    write_clip(tmp_path / "two.mp4", (scene(n, faces=2) for n in range(6)))
    said = mien("track", tmp_path / "two.mp4", "--out", tmp_path / "two.performance")
    assert said.code == 0, said
    assert "2 faces are in the picture; the one seen before drives, else the largest." in said.err
    assert said.out == f"Wrote {tmp_path / 'two.performance'}: 6 frames.\n"


def test_leading_frames_without_a_face_and_a_varying_rate(tmp_path, mien):
    times = [0, 40, 80, 200, 240, 400, 440, 480]
    pictures = [np.zeros_like(scene(0))] * 3 + [scene(n) for n in range(5)]
    write_clip(tmp_path / "late.mp4", pictures, times)
    said = mien("track", tmp_path / "late.mp4", "--out", tmp_path / "late.performance")
    assert said.code == 0, said
    assert "8 frames, 3 without a face" in said.out
    with PerformanceReader(tmp_path / "late.performance") as reader:
        assert [round(frame.capture_ns / 1e6) for frame in reader] == times


def test_odd_sizes_and_a_single_picture(tmp_path, mien):
    write_clip(tmp_path / "one.mkv", [scene(0, size=(461, 339))], pix_fmt="yuv444p")
    said = mien("track", tmp_path / "one.mkv", "--out", tmp_path / "one.performance")
    assert said.code == 0, said
    assert "1 frame." in said.out


def test_clips_that_cannot_drive_are_refused(tmp_path, clip, mien):
    write_clip(tmp_path / "nobody.mp4", [np.full((240, 320, 3), 90, np.uint8)] * 4)
    write_sound(tmp_path / "sound.m4a")
    short = cut(clip)
    (tmp_path / "text.mp4").write_text("hello\n" * 50)
    (tmp_path / "empty.mp4").touch()
    for path, word in [
        (tmp_path / "nobody.mp4", "no face"),
        (tmp_path / "sound.m4a", "no pictures"),
        (short, "cut short"),
        (tmp_path / "text.mp4", "not a clip"),
        (tmp_path / "empty.mp4", "is empty"),
    ]:
        assert refused(mien("track", path, "--out", tmp_path / "x.performance"), path.name, word)
    assert refused(mien("run", "--source", short, "--out", tmp_path / "x.mp4"), short.name, "cut short")
    assert not list(tmp_path.glob("*x.*"))


def test_a_performance_cut_in_half_is_played_as_far_as_it_goes(tmp_path, avatar, performance, mien):
    half = cut(performance, 0.97)
    said = mien("render", "--avatar", avatar, "--drive", half, "--out", tmp_path / "x.mp4", "--size", 128)
    assert said.code == 0, said
    assert "were recovered" in said.err
    performance.write_bytes(performance.read_bytes().replace(b'"version":1', b'"version":9', 1))
    said = mien("render", "--avatar", avatar, "--drive", performance, "--out", tmp_path / "y.mp4")
    assert refused(said, performance.name, "version 9")


def test_places_that_cannot_be_written_to(tmp_path, clip, performance, mien):
    for out, word in [
        ("none/x.performance", "There is no folder"),
        ("", "is a folder"),
        ("x.txt", "Name it x.performance"),
    ]:
        assert refused(mien("track", clip, "--out", tmp_path / out), word)
    assert refused(mien("track", performance, "--out", tmp_path / "x.performance"), "a performance already")
    render = ("render", "--drive", performance, "--out")
    assert refused(mien(*render, tmp_path / "x.avi"), "x.mp4")
    assert refused(mien(*render, tmp_path / "x.mp4", "--report", tmp_path / "none" / "r.json"), "no folder")
    assert refused(mien(*render, tmp_path / "x.mp4", "--report", tmp_path / "x.mp4"), "--report")
    assert refused(mien("render", "--drive", clip, "--out", clip), "overwritten")
    before = clip.read_bytes()
    assert refused(mien("run", "--source", clip, "--out", clip), "overwritten")
    assert clip.read_bytes() == before
    assert not list(tmp_path.iterdir())


# --- configuration ------------------------------------------------------------------------------------


def test_misspelt_names_are_answered_with_the_nearest(tmp_path, clip, mien):
    track = ("track", clip, "--out", tmp_path / "x.performance", "--set")
    for setting, word in [
        ("video.szie=3", "'video.size'"),
        ("use.tracker=fitt", "'fit'"),
        ("use.renderer=phoot", "'photo'"),
        ("plugin.avv.loop=true", "'av'"),
    ]:
        assert refused(mien(*track, setting), word)
    assert refused(mien("run", "--out", "wbe"), "'wbe'", "virtualcam")


def test_a_port_in_use(mien):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = mien("run", "--source", "demo", "--port", port)
    assert refused(said, str(port), "--port")
    assert said.out == "", "before anything slow begins"


# --- Ctrl-C, and a disk that fails ----------------------------------------------------------------------


@pytest.fixture
def on_third(monkeypatch):
    """Have something happen when a method is called for the third time."""

    def install(owner, name, act):
        calls = []
        original = getattr(owner, name)

        def counted(self, *arguments):
            calls.append(name)
            if len(calls) == 3:
                act()
            return original(self, *arguments)

        monkeypatch.setattr(owner, name, counted)

    return install


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_while_tracking(tmp_path, tmp_path_factory, on_third, mien):
    # Several times what may be under way at once: the event loop must come to hear of the signal before the end.
    clip = write_clip(tmp_path_factory.mktemp("long") / "face.mp4", [scene(0)] * (4 * IN_FLIGHT))
    on_third(Recorder, "tracked", interrupt)
    said = mien("track", clip, "--out", tmp_path / "x.performance")
    assert said == (130, "", "Interrupted; nothing was written.")
    assert not list(tmp_path.iterdir())


def test_transparency_wants_a_file_that_keeps_it(tmp_path, avatar, performance, mien):
    render = (
        "render",
        "--avatar",
        avatar,
        "--drive",
        performance,
        "--size",
        128,
        "--background",
        "transparent",
    )
    assert refused(mien(*render, "--out", tmp_path / "x.mp4"), "x.webm")
    assert not (tmp_path / "x.mp4").exists()
    mien(*render, "--out", tmp_path / "x.webm")
    mien(*render, "--out", tmp_path / "y.mp4", "--alpha", "side-by-side")
    with av.open(str(tmp_path / "x.webm")) as one, av.open(str(tmp_path / "y.mp4")) as other:
        assert one.streams.video[0].metadata["alpha_mode"] == "1"
        assert (other.streams.video[0].width, other.streams.video[0].height) == (256, 128)


def test_ctrl_c_while_rendering(tmp_path, avatar, on_third, mien):
    on_third(VideoFileOutput, "video", interrupt)
    out = tmp_path / "x.mp4"
    said = mien("render", "--avatar", avatar, "--drive", "demo", "--out", out, "--size", 128)
    assert said == (130, "", "Interrupted; nothing was written.")
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_had_leaves_none_of_the_others(tmp_path, avatar, mien):
    out = ("--out", tmp_path / "x.mp4", "--out", tmp_path / "y.avi")
    said = mien("run", "--avatar", avatar, "--source", "demo", *out, "--size", 128)
    assert refused(said, "y.avi")
    assert f"Writing to {tmp_path / 'x.mp4'}." in said.out
    assert "Wrote" not in said.out
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_a_live_session_and_its_file(tmp_path, avatar, on_third, mien):
    on_third(VideoFileOutput, "video", interrupt)
    out = tmp_path / "x.mp4"
    said = mien("run", "--avatar", avatar, "--source", "demo", "--out", out, "--size", 128)
    assert said.code == 0, said
    assert f"Wrote {out}." in said.out
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_that_cannot_be_finished_is_told_and_leaves_nothing(
    tmp_path, avatar, performance, on_third, mien
):
    out = tmp_path / "x.mp4"
    on_third(VideoFileOutput, "video", out.mkdir)  # the name is taken by something that no file can replace
    said = mien("render", "--avatar", avatar, "--drive", performance, "--out", out, "--size", 128)
    assert refused(said, "x.mp4", "cannot be written")
    assert list(tmp_path.iterdir()) == [out]
