"""`mien performance`: look into, cut, resample, edit, join and convert performances."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Amounts, amounts
from mien.cli.paths import check_clip, check_out
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.performance.take import Take

app = typer.Typer(help="Look into, cut, edit, join and convert performances.", no_args_is_help=True)

Performance = Annotated[Path, typer.Argument(metavar="NAME.performance", help="As `mien track` writes it.")]
Out = Annotated[Path, typer.Option("--out", metavar="OUT.performance", help="The performance to write.")]

_LIKE = "mouthSmile=1.3"

FORMATS = ".jsonl (all of it), .csv (Live Link Face), .wav (the sound)"


@app.command()
def info(
    file: Performance,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a performance holds."""
    from mien.performance.reader import PerformanceReader

    check_clip(file)
    with PerformanceReader(file) as reader:
        lost = sum(params.confidence <= 0 for params in reader)
        summary = {
            "frames": len(reader),
            "without_face": lost,
            "duration_s": round(reader.duration_s, 3),
            "fps": round(reader.fps, 3),
            "sound": reader.sound and {"rate": reader.sound.rate, "channels": reader.sound.channels},
            "face_model": reader.subject.model,
            "complete": reader.complete,
        }
        if as_json:
            typer.echo(json.dumps(summary, indent=2))
            return
        sound = f"{reader.sound.rate} Hz, {reader.sound.channels} ch" if reader.sound else "none"
        typer.echo(f"frames    {len(reader)}, {lost} of them without a face")
        typer.echo(f"length    {reader.duration_s:.2f} s at {reader.fps:g} frames per second")
        typer.echo(f"sound     {sound}")
        typer.echo(f"face      {reader.subject.model}")
        if reader.notice:
            typer.echo(reader.notice, err=True)


@app.command()
def numbers(
    file: Performance,
    frame: Annotated[int, typer.Option("--frame", min=0, metavar="N", help="Which frame, from 0.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what one frame is described by. Pose, identity, reflectance, expression, gaze, light."""
    from mien.face.portrait import PortraitNumbers
    from mien.performance.reader import PerformanceReader
    from mien.performance.take import Take

    check_clip(file)
    with PerformanceReader(file) as reader:
        frames = len(reader)
        groups = PortraitNumbers.at(chain([reader.subject], Take.of(reader).events), frame)
    if groups is None:
        raise InputError(f"{file} has no frame {frame}. Give one from 0 to {frames - 1}.")
    values = {name: [round(value, 5) for value in group.tolist()] for name, group in groups}
    if as_json:
        typer.echo(json.dumps(values, indent=2))
        return
    for name, group in values.items():
        typer.echo(f"{name} ({len(group)})")
        for start in range(0, len(group), 10):
            typer.echo("  " + " ".join(f"{value:9.4f}" for value in group[start : start + 10]))


@app.command()
def cut(
    file: Performance,
    out: Out,
    start_s: Annotated[float, typer.Option("--from", metavar="S", help="Where it begins.")] = 0.0,
    end_s: Annotated[float | None, typer.Option("--to", metavar="S", help="Where it ends.")] = None,
) -> None:
    """Keep a stretch of a performance, with its sound."""
    from mien.performance import editing

    with _opened(file, out=out) as takes:
        _save(editing.cut(takes[0], start_s, end_s), out)


@app.command()
def resample(
    file: Performance,
    out: Out,
    fps: Annotated[float, typer.Option("--fps", metavar="N", help="Frames per second to have.")],
) -> None:
    """Give a performance another frame rate. It lasts as long as before, and the sound stays in step."""
    from mien.performance import editing

    with _opened(file, out=out) as takes:
        _save(editing.resampled(takes[0], fps), out)


@app.command()
def edit(
    file: Performance,
    out: Out,
    scale: Annotated[
        Amounts,
        typer.Option("--scale", metavar="NAME=FACTOR", help="Exaggerate an expression, or weaken it."),
    ] = None,
    offset: Annotated[
        Amounts, typer.Option("--offset", metavar="NAME=AMOUNT", help="Add to an expression throughout.")
    ] = None,
    head: Annotated[float, typer.Option("--head", metavar="FACTOR", help="Scale the head's motion.")] = 1.0,
    smooth_s: Annotated[
        float | None, typer.Option("--smooth", metavar="S", help="Smooth all but blinks, for example 0.03.")
    ] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="As seen in a mirror.")] = False,
    mute: Annotated[bool, typer.Option("--mute", help="Take the sound off.")] = False,
) -> None:
    """Change the motion. NAME is an ARKit expression, or both sides of one: mouthSmile=1.3."""
    from mien.performance import editing

    with _opened(file, out=out) as takes:
        take = editing.adjusted(takes[0], amounts(scale, _LIKE), amounts(offset, _LIKE), head)
        if smooth_s is not None:
            take = editing.smoothed(take, smooth_s)
        if mirror:
            take = editing.mirrored_take(take)
        if mute:
            take = editing.muted(take)
        _save(take, out)


@app.command()
def join(
    files: Annotated[list[Path], typer.Argument(metavar="NAME.performance...", help="In their order.")],
    out: Out,
) -> None:
    """Put performances one after the other."""
    from mien.performance import editing

    with _opened(*files, out=out) as takes:
        _save(editing.joined(takes), out)


@app.command()
def export(
    file: Performance,
    out: Annotated[Path, typer.Option("--out", metavar="OUT", help=f"What to write: {FORMATS}.")],
) -> None:
    """Write a performance in another format. The suffix tells which."""
    from mien.performance.formats import write_as

    with _opened(file, out=out) as takes:
        typer.echo(f"Wrote {out}: {write_as(takes[0], out)}.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .jsonl or Live Link Face's .csv.")],
    out: Out,
    sound: Annotated[
        Path | None, typer.Option("--sound", metavar="FILE.wav", help="16-bit sound that goes with a .csv.")
    ] = None,
    as_is: Annotated[
        bool,
        typer.Option("--as-is", help="Take a .csv at its word instead of estimating how the person rests."),
    ] = False,
) -> None:
    """Make a performance out of another format. The suffix tells which."""
    from mien.performance.formats import read_as

    check_clip(file)
    if sound is not None:
        check_clip(sound)
    check_out(out, file)
    _save(read_as(file, sound=sound, estimate_rest=not as_is), out)


@contextmanager
def _opened(*files: Path, out: Path) -> Iterator[list[Take]]:
    """The takes in `files`, readable until the end of the body; `out` is none of them."""
    from mien.performance.reader import PerformanceReader
    from mien.performance.take import Take

    for file in files:
        check_clip(file)
    check_out(out, *files)
    with ExitStack() as stack:
        takes = []
        for file in files:
            reader = stack.enter_context(PerformanceReader(file))
            if reader.notice:
                typer.echo(reader.notice, err=True)
            takes.append(Take.of(reader))
        yield takes


def _save(take: Take, out: Path) -> None:
    """Raises `InputError` when `run` and `render` would not know `out` by its name."""
    from mien.performance.records import SUFFIX
    from mien.performance.take import save_take

    if out.suffix != SUFFIX:
        raise InputError(f"{out} would not be known as a performance. Name it {out.stem}{SUFFIX}.")
    frames = save_take(take, out)
    typer.echo(f"Wrote {out}: {frames} frame{'' if frames == 1 else 's'}.")
