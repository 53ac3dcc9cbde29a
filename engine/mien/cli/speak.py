"""`mien speak`: sound goes to a running session and is spoken there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import ConfigFile
from mien.cli.paths import check_clip
from mien.cli.pushing import Place, push
from mien.cli.signals import run_until_signal
from mien.config import Config, load_config
from mien.errors import InputError, MediaError

STDIN = "-"
_PIECE = 1 << 14
_RAW = "s16le"


def speak(
    sound: Annotated[
        str, typer.Argument(metavar="FILE|-", help="A file with sound, or - for standard input.")
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="URL", help="The engine, as `mien run` printed it (default: this machine's)."
        ),
    ] = "",
    token: Annotated[str, typer.Option("--token", help="Its token, where it is not in the URL.")] = "",
    session: Annotated[str, typer.Option("--session", metavar="NAME", help="Who is to speak.")] = "main",
    rate: Annotated[
        int | None,
        typer.Option(
            "--rate", metavar="HZ", help="Standard input holds raw samples of that rate, not a WAV."
        ),
    ] = None,
    channels: Annotated[
        int | None, typer.Option("--channels", metavar="1|2", help="Of raw samples (default: 1).")
    ] = None,
    sample_format: Annotated[
        str | None,
        typer.Option("--format", metavar="s16le|f32le|...", help=f"Of raw samples (default: {_RAW})."),
    ] = None,
    takeover: Annotated[bool, typer.Option("--takeover", help="Cut short whoever speaks just now.")] = False,
    config: ConfigFile = None,
) -> None:
    """Speak a sound file, or what comes in, through a running session; Ctrl-C silences it."""
    settings = load_config(config)
    place = Place.of(to or _here(settings), token or settings.server.token)
    if sound != STDIN:
        check_clip(Path(sound))
        if rate is not None:
            raise InputError("--rate is for raw samples on standard input; a file says itself what it holds.")
    if rate is None and (channels is not None or sample_format is not None):
        raise InputError(
            "--channels and --format are for raw samples; say their --rate, for example --rate 24000."
        )
    query = _query(sound, rate, channels or 1, sample_format or _RAW)
    work = _speak(settings, sound, place, session, query, takeover=takeover)
    number = run_until_signal(work)
    if number is not None:
        typer.echo("Silenced.", err=True)
        raise typer.Exit(128 + number)


def _here(config: Config) -> str:
    server = config.server
    host = "127.0.0.1" if server.host in {"", "0.0.0.0", "::"} else server.host  # noqa: S104 - not bound to
    host = f"[{host}]" if ":" in host else host
    return f"http{'s' if server.tls_cert else ''}://{host}:{server.port}"


def _query(sound: str, rate: int | None, channels: int, sample_format: str) -> dict[str, str | int]:
    if sound == STDIN and rate is None:
        return {"format": "wav"}
    if sound == STDIN and rate is not None:
        return {"format": sample_format, "rate": rate, "channels": channels}
    return {"format": _RAW, "rate": 48_000, "channels": 2}


async def _speak(
    config: Config, sound: str, place: Place, session: str, query: dict[str, str | int], *, takeover: bool
) -> None:
    data = _standard_input() if sound == STDIN else _decoded(config, Path(sound))
    async with contextlib.aclosing(data):
        # Nobody is cut short, or kept from speaking, before there is something to be heard.
        if (first := await anext(data, None)) is None:
            raise InputError("No sound came on standard input. See what the program that is to make it says.")
        whole = _joined(first, data)
        answer = await push(place, session, whole, query | ({"takeover": 1} if takeover else {}))
    position = float(answer.get("position_s", 0.0))
    if answer.get("state") == "interrupted":
        why = f" {answer['reason']}" if answer.get("reason") else ""
        typer.echo(f"Interrupted after {position:.1f} s.{why}", err=True)
        raise typer.Exit(1)
    typer.echo(f"Spoke {position:.1f} s.")


async def _decoded(config: Config, path: Path) -> AsyncGenerator[bytes]:
    """The sound of any file that the installed plugins read, 48 kHz, stereo. Raises `MediaError`, `PluginError`."""
    import numpy as np

    from mien.clock import OfflineClock
    from mien.context import Services, StageContext
    from mien.frames import AudioFrame
    from mien.performance.pcm import to_pcm16
    from mien.plugins import Registry
    from mien.stage import Kind, Source

    registry = Registry.discover()
    source: Source = registry.create(Kind.SOURCE, "file", str(path))
    plugin = registry.find(Kind.SOURCE, "file").plugin.name
    services = Services(registry, config)
    context = StageContext(OfflineClock(), config, services, _tell, False, None).of_plugin(plugin)
    spoke = False
    try:
        await source.open(context)
        async for item in source.frames():
            if isinstance(item, AudioFrame):
                spoke = True
                both = np.broadcast_to(item.samples, (len(item.samples), 2))
                yield to_pcm16(both)
    finally:
        await source.close()
        services.close()
    if not spoke:
        raise MediaError(f"{path} has no sound. Give a file that somebody speaks in.")


def _tell(text: str) -> None:
    """Notices about the file are of no use here."""


async def _joined(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for data in rest:
        yield data


async def _standard_input() -> AsyncGenerator[bytes]:
    """What comes, as it comes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    try:
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
        )
    except (
        ValueError,
        NotImplementedError,
        OSError,
    ):  # a file, or Windows: reading it never waits, or not for long
        while data := await asyncio.to_thread(os.read, sys.stdin.fileno(), _PIECE):
            yield data
        return
    try:
        while data := await reader.read(_PIECE):
            yield data
    finally:
        transport.close()
