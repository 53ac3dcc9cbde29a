"""Contact sheets of avatars, for looking at: `python -m mien_photo.sheet [PORTRAIT|NAME.avatar ...] --out FOLDER`.

Strips of poses (blink, gaze, jaw, smile, visemes, yaw, pitch ...) and, for each clip, the portrait, the driver and
the result side by side at the most telling instants. Without portraits the built-in astronaut, without clips the
built-in demo performance; `nobody` shows the avatar left to itself. Sheets are pictures of people: keep them to
yourself.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import typer

from mien.avatar.making import builtin_avatar, make_avatar
from mien.avatar.package import Avatar, Consent, load_avatar
from mien.config import Config
from mien.context import PlainContext
from mien.errors import MienError
from mien.face.model import load_model
from mien.face.retargeting import Reference, absolute_params
from mien.face.tracker import LandmarkTracker
from mien.frames import Bytes, FaceParams
from mien.plugins import Registry
from mien.stage import Kind
from mien_photo import takes
from mien_photo.anatomy import skin_of
from mien_photo.poses import STRIPS, Part, Pose, Strip
from mien_photo.renderer import PhotoRenderer
from mien_photo.takes import Take

BUILT_IN = "builtin"
LOOKING = Consent(
    "Made to be looked at on this machine, not kept.", "whoever runs this", "self", "2026-01-01"
)
_SQUARE: Part = "whole"
_ROOM = {"face": 0.10, "eyes": 0.035, "mouth": 0.05}
"""Around the parts of the face, as a share of the picture's side."""
_BLANK = 34


def draw(renderer: PhotoRenderer, avatar: Avatar, poses: Iterable[Pose]) -> list[Bytes]:
    """The pictures of `poses`, in order."""
    reference = Reference.of(avatar.content.subject)
    pictures = []
    for index, pose in enumerate(poses):
        params = absolute_params(pose.motion(), reference, FaceParams(capture_ns=0, index=index))
        pictures.append(renderer.process(params).pixels.copy())
    return pictures


def area(avatar: Avatar, part: Part) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a part of the avatar's face at rest, as shares of the picture."""
    if part == _SQUARE:
        return 0.0, 0.0, 1.0, 1.0
    skin = skin_of(load_model(avatar.content.face_model))
    rows = {
        "face": np.flatnonzero(skin.presence > 0.9),
        "eyes": np.concatenate([opening.rows for opening in skin.openings[1:]]),
        "mouth": skin.openings[0].rows,
    }[part]
    places = avatar.content.arrays["source_xy"][rows] / avatar.content.images["source"].shape[0]
    left, top = np.maximum(places.min(axis=0) - _ROOM[part], 0).tolist()
    right, bottom = np.minimum(places.max(axis=0) + _ROOM[part], 1).tolist()
    return left, top, right, bottom


def cell(picture: Bytes, label: str, width: int, height: int) -> Bytes:
    """The whole picture within (height, width), on grey, with its label."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    canvas = np.full((height, width, 3), _BLANK, np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(canvas, label, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thick, cv2.LINE_AA)
    return canvas


def strip_sheet(renderer: PhotoRenderer, avatar: Avatar, strip: Strip, width: int, columns: int) -> Bytes:
    """All poses of a strip, `columns` side by side, each `width` px wide."""
    left, top, right, bottom = area(avatar, strip.part)
    cells = []
    for picture, pose in zip(draw(renderer, avatar, strip.poses), strip.poses, strict=True):
        high, wide = picture.shape[:2]
        shown = picture[int(top * high) : int(bottom * high), int(left * wide) : int(right * wide)]
        cells.append(cell(shown, pose.label, width, round(width * shown.shape[0] / shown.shape[1])))
    while len(cells) % columns:
        cells.append(np.full_like(cells[0], _BLANK))
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def driven_sheet(renderer: PhotoRenderer, avatar: Avatar, take: Take, width: int) -> Bytes:
    """The portrait, then driver over result at each instant of a take."""
    results = takes.perform(take, avatar.content.subject, renderer)
    times = [f"{take.moves[index].at_ns / 1e9:.1f} s" for index in take.instants]
    blank = np.full((width, width, 3), _BLANK, np.uint8)
    rows = [[cell(avatar.content.images["portrait"], "portrait", width, width)]]
    if take.seen:
        rows.insert(0, [cell(blank, take.name, width, width)])
        rows[0] += [cell(seen, time, width, width) for seen, time in zip(take.seen, times, strict=True)]
    rows[-1] += [cell(drawn, time, width, width) for drawn, time in zip(results, times, strict=True)]
    return np.vstack([np.hstack(row) for row in rows])


@contextmanager
def showing(avatar: Avatar, registry: Registry, side: int) -> Iterator[PhotoRenderer]:
    """A renderer of the avatar, closed on leaving."""
    context = PlainContext(
        avatar=avatar,
        size=(side, side),
        services={Kind.RASTERIZER: lambda: registry.create(Kind.RASTERIZER)},
    )
    renderer = PhotoRenderer()
    try:
        renderer.open(context)
        yield renderer
    finally:
        renderer.close()
        context.close()


def wanted_takes(names: list[str], registry: Registry, instants: int, seconds: float) -> list[Take]:
    """What drives, by name: `demo`, `nobody`, or a clip."""
    context = PlainContext(services={Kind.LANDMARKER: lambda: registry.create(Kind.LANDMARKER)})
    tracker = LandmarkTracker()
    found = []
    try:
        for name in names:
            if name == takes.DEMO:
                found.append(takes.demo(instants))
            elif name == takes.NOBODY:
                found.append(takes.nobody(instants))
            else:
                tracker.open(context)
                found.append(takes.filmed(Path(name), tracker, instants, seconds))
    finally:
        tracker.close()
        context.close()
    return found


def avatar_of(name: str, registry: Registry) -> Avatar:
    """The built-in one, a package, or an avatar made of a portrait just now."""
    if name == BUILT_IN:
        return builtin_avatar(registry, Config(), typer.echo)
    path = Path(name)
    if path.suffix == ".avatar":
        return load_avatar(path)
    return make_avatar(registry, Config(), path, LOOKING, path.stem, typer.echo)


def main(arguments: Sequence[str] | None = None) -> None:
    """arguments: of the command line; without them those of the process."""
    parser = argparse.ArgumentParser(prog="python -m mien_photo.sheet", description=__doc__)
    parser.add_argument("who", nargs="*", default=[BUILT_IN], help="portraits, packages, or 'builtin'")
    parser.add_argument("--out", type=Path, required=True, help="the folder that the sheets go to")
    parser.add_argument(
        "--clip", nargs="*", default=[takes.DEMO, takes.NOBODY], help="clips that drive, 'demo', 'nobody'"
    )
    parser.add_argument(
        "--strip", nargs="*", default=list(STRIPS), choices=list(STRIPS), help="only these (none: no strips)"
    )
    parser.add_argument("--instants", type=int, default=6, help="pictures of each clip")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each clip")
    parser.add_argument("--size", type=int, default=512, help="px of a rendered picture")
    parser.add_argument("--cell", type=int, default=256, help="px of a picture on the sheet")
    parser.add_argument("--columns", type=int, default=4, help="of a strip")
    given = parser.parse_args(arguments)
    registry = Registry.discover()
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        performances = wanted_takes(given.clip, registry, given.instants, given.seconds)
        for name in given.who:
            avatar = avatar_of(name, registry)
            with showing(avatar, registry, given.size) as renderer:
                sheets = [
                    *((strip, strip_sheet(renderer, avatar, STRIPS[strip], given.cell, given.columns))
                      for strip in given.strip),
                    *((take.name, driven_sheet(renderer, avatar, take, given.cell)) for take in performances),
                ]  # fmt: skip
            for kind, sheet in sheets:
                path = given.out / f"{Path(name).stem}-{kind}.png"
                cv2.imwrite(str(path), sheet[..., ::-1])
                typer.echo(f"Wrote {path}.")
    except MienError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
