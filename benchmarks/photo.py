"""How good the photo avatar is, and what it costs: `python benchmarks/photo.py --json OUT`.

Self-reenactment: an avatar is made of a clip's first frame and driven by the last tenth of the same clip;
what comes out is compared with what was filmed, within the face. `gap_closed` says where that lies between
the first frame laid over the true one by a similarity transform (0) and the first frame warped by dense
optical flow to the true one (1), in PSNR.

The square that is compared is the one that an avatar would be made from (`mien_photo.crop`), chosen in the first
frame and kept over the clip, 512 px: 1.75 to 2.35 faces wide. The similarity is fitted to five points, the flow is
OpenCV's DIS at its medium preset from the true to the aligned frame. So measured, copy and flow have 17.7 and 27.8,
17.6 and 24.9, 20.8 and 27.0, 20.2 and 29.4 dB on the four clips; crops from 1.6 to 2.3 faces wide and other ways to
resample move the lower bounds by 0.2 dB and the upper ones by 0.7.

The driver is seen as live: landmarks, and the skin compared with the picture that the driver was met in, the first
frame (`mien.face.skin_motion`); as driver and portrait are one person, hair and neck follow, too (`detail_around`).
`gap_landmarks` is what landmarks alone close. The light is the portrait's in both; `gap_light` is as `gap_closed`, but
with the light `driver`: what changed of the light on the driver's skin since the first frame, of each frame by itself.

What a package shows of itself over other people's expressions is compared with its portrait by a face recognition
network (`identity.py`), where the assets folder is there.

Costs are CPU time, scaled by the reference work (see `reference.py`).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from skimage.metrics import structural_similarity
from threadpoolctl import threadpool_limits

import identity
from machine import machine
from mien.avatar.package import Avatar, Consent, load_avatar, save_avatar
from mien.controls import Controls
from mien.drive.demo import demo_motion
from mien.driver import Driver
from mien.face import retargeting
from mien.face.camera import Camera
from mien.face.enrolment import enrol
from mien.face.fitting import Fit, Fitter
from mien.face.light import relative_light
from mien.face.lighting import Lighting
from mien.face.model import load_model
from mien.face.skin_motion import SkinMotion
from mien.face.subject import Subject
from mien.frames import Bytes, FaceParams, Float
from mien.stage import Kind
from mien.testing.context import FakeContext
from mien_mediapipe.landmarker import MediaPipeLandmarker
from mien_mediapipe.segmenter import SelfieSegmenter
from mien_photo import crop, takes
from mien_photo.maker import PhotoMaker
from mien_photo.renderer import PhotoRenderer
from mien_raster.rasterizer import NumbaRasterizer
from raster import second_core, wall_ms
from reference import Reference

CLIPS = (
    "expressive/expressive_d10.mp4",
    "expressive/grimaces_d6_33s.mp4",
    "talk/portrait_10s_1080p.mp4",
    "talk/room_24s_720p.mp4",
)
SIZE = 512
INTERVAL_NS = 40_000_000
APART_NS = 1_000_000_000
"""Between frames that are not to be smoothed with each other."""
MOST_FRAMES = 40
SERVICES = {
    Kind.LANDMARKER: MediaPipeLandmarker,
    Kind.SEGMENTER: SelfieSegmenter,
    Kind.RASTERIZER: NumbaRasterizer,
}
NOBODY = Consent("Made for a measurement and not kept.", "nobody", "public-domain", "2025-01-01")
CORNERS = (33, 263, 1, 61, 291)
"""Eye corners, nose tip, mouth corners: what the similarity transform is fitted to."""


@dataclass
class Costs:
    """CPU seconds of single runs."""

    reference: Reference
    render: list[float]
    create: list[float]
    skin: list[float]


def make(picture: Bytes, costs: Costs | None = None) -> Avatar:
    context = FakeContext(services=SERVICES)
    maker = PhotoMaker()
    maker.open(context)
    started = time.process_time()
    content = maker.make(picture)
    if costs is not None:
        costs.create.append(time.process_time() - started)
    maker.close()
    context.close()
    return Avatar.new(content, NOBODY)


def opened(avatar: Avatar) -> tuple[PhotoRenderer, FakeContext]:
    context = FakeContext(avatar=avatar, size=(SIZE, SIZE), services=SERVICES)
    renderer = PhotoRenderer()
    renderer.open(context)
    return renderer, context


def face_box(points: Float) -> tuple[slice, slice]:
    x0, y0 = np.floor(points[:, :2].min(axis=0)).astype(int).clip(0, SIZE - 8)
    x1, y1 = np.ceil(points[:, :2].max(axis=0)).astype(int).clip(8, SIZE)
    return slice(y0, y1), slice(x0, x1)


def psnr(a: Bytes, b: Bytes) -> float:
    return float(cv2.PSNR(np.ascontiguousarray(a), np.ascontiguousarray(b)))


def fitted(fitter: Fitter, points: Float) -> Fit:
    """The fit to one frame, whatever the one before was."""
    fitter.reset()
    fitter.fit(points)
    return fitter.fit(points, 4)


def at_rest(subject: Subject) -> Fit:
    """How a portrait was fitted when an avatar was made of it."""
    rotation, translation = subject.rest_rotation, subject.rest_translation
    closed = np.zeros(2, np.float32)
    return Fit(rotation, translation, subject.neutral, subject.rest_gaze, closed, 0.0)


def posed(fit: Fit, index: int) -> FaceParams:
    return FaceParams(0, fit.rotation, fit.translation, fit.expression, fit.gaze, index=index)


def reenact(path: Path, costs: Costs) -> dict[str, float]:
    frames = [picture for picture, _ in takes.frames(path)]
    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    first = landmarker.detect_still(frames[0])[0].points
    square = crop.choose(first, frames[0].shape[1], frames[0].shape[0])
    avatar = make(frames[0], costs)
    subject = avatar.content.subject
    model = load_model(avatar.content.face_model)
    fitter = Fitter(model, subject.camera, subject)
    renderer, context = opened(avatar)

    def cut(frame: Bytes) -> Bytes:
        return crop.cut(frame, square)

    def small(picture: Bytes) -> Bytes:
        return np.asarray(cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA))

    large = cut(frames[0])
    portrait = small(large)
    met = landmarker.detect_still(large)[0].points
    at_first = met * (SIZE / crop.SIDE)
    skin = SkinMotion(model)
    skin.learn(large, met, fitter, at_rest(subject))
    lighting = Lighting(model)
    lighting.see(large, met, fitter.posed(subject.neutral), at_rest(subject), 0)
    lighting.keep(calm=True)
    lighting.learn()
    chosen = np.linspace(0.9 * len(frames), len(frames) - 1, min(MOST_FRAMES, len(frames) // 10)).astype(int)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found: dict[str, list[float]] = {"psnr": [], "plain": [], "lit": [], "ssim": [], "copy": [], "flow": []}
    for index in chosen:
        large = cut(frames[index])
        faces = landmarker.detect_still(large)
        if not faces:
            continue
        true = small(large)
        costs.reference.measure()
        started = time.process_time()
        steadied = skin.steadied(large, faces[0].points)
        taken = time.process_time() - started
        fit = fitted(fitter, steadied)
        started = time.process_time()
        detail = skin.detail(fitter, fit)
        costs.skin.append(taken + time.process_time() - started)
        face = replace(posed(fit, int(index)), detail=detail, detail_around=skin.trust)
        started = time.process_time()
        drawn = renderer.process(face).pixels
        costs.render.append(time.process_time() - started)
        posed_points = fitter.posed(fit.expression)
        light = lighting.see(large, steadied, posed_points, fit, (int(index) + 1) * APART_NS)
        lit = renderer.process(replace(face, light=relative_light(light, lighting.rest))).pixels
        plain = renderer.process(posed(fitted(fitter, faces[0].points), int(index))).pixels
        points = faces[0].points * (SIZE / crop.SIDE)
        box = face_box(points)
        found["psnr"].append(psnr(drawn[box], true[box]))
        found["plain"].append(psnr(plain[box], true[box]))
        found["lit"].append(psnr(lit[box], true[box]))
        found["ssim"].append(
            float(structural_similarity(drawn[box], true[box], channel_axis=2, data_range=255))
        )
        matrix, _ = cv2.estimateAffinePartial2D(at_first[list(CORNERS), :2], points[list(CORNERS), :2])
        aligned = cv2.warpAffine(portrait, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
        found["copy"].append(psnr(aligned[box], true[box]))
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (true, aligned)]
        moved = flow.calc(grey[0], grey[1], None)
        grid = np.dstack(np.meshgrid(np.arange(SIZE), np.arange(SIZE))).astype(np.float32) + moved
        warped = cv2.remap(aligned, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        found["flow"].append(psnr(warped[box], true[box]))
    renderer.close()
    context.close()
    landmarker.close()
    mean = {name: statistics.fmean(values) for name, values in found.items()}

    def closed(name: str) -> float:
        return round((mean[name] - mean["copy"]) / (mean["flow"] - mean["copy"]), 3)

    return {
        "psnr_face": round(mean["psnr"], 2),
        "ssim_face": round(mean["ssim"], 3),
        "psnr_copy": round(mean["copy"], 2),
        "psnr_flow": round(mean["flow"], 2),
        "gap_closed": closed("psnr"),
        "gap_landmarks": closed("plain"),
        "gap_light": closed("lit"),
        "frames": len(found["psnr"]),
    }


def flicker(picture: Bytes, frames: int = 60) -> float:
    """Mean change of the avatar's face from frame to frame when a still driver is filmed with sensor noise."""
    rng = np.random.default_rng(0)
    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    camera = Camera.guess(picture.shape[1], picture.shape[0])
    still = landmarker.detect_still(picture)[0].points
    model = load_model()
    source = enrol(model, camera, [still])
    fitter = Fitter(model, camera, source)
    skin = SkinMotion(model)
    skin.learn(picture, still, fitter, fitter.fit(still))
    avatar = make(picture)
    driver = Driver(avatar.content.subject, Controls(), 25.0)
    renderer, context = opened(avatar)
    before: Float | None = None
    changes = []
    for index in range(frames):
        noisy = np.clip(picture + rng.integers(-1, 2, picture.shape), 0, 255).astype(np.uint8)
        faces = landmarker.detect(noisy)
        if not faces:
            continue
        fit = fitter.fit(skin.steadied(noisy, faces[0].points))
        now_ns = index * INTERVAL_NS
        detail = skin.detail(fitter, fit)
        seen = replace(posed(fit, index), capture_ns=now_ns, detail=detail, detail_around=skin.trust)
        pixels = renderer.process(driver.step(seen, source, now_ns, index)).pixels
        face = pixels[SIZE // 4 : 3 * SIZE // 4, SIZE // 4 : 3 * SIZE // 4].astype(np.float32)
        if before is not None and index > frames // 2:
            changes.append(float(np.abs(face - before).mean()))
        before = face
    renderer.close()
    context.close()
    landmarker.close()
    return round(statistics.fmean(changes), 3)


def two_lanes(avatar: Avatar, frames: int = 40, rounds: int = 5) -> dict[str, float]:
    """Two pictures of two sessions, drawn on two lanes at once: wall time over that on one, and `free`, how much of the
    second core there was (see `raster.second_core`).
    """
    subject = avatar.content.subject
    motion, rest = demo_motion(0), retargeting.Reference.of(subject)
    times = [index * INTERVAL_NS for index in range(frames)]
    moves = [retargeting.absolute_params(motion.at(at), rest, FaceParams(at)) for at in times]
    pair = [opened(avatar) for _ in range(2)]

    def draw(renderer: PhotoRenderer) -> None:
        for one in moves:
            renderer.process(one)

    ratios, free, one, other = [], [], Reference(), Reference()
    with ThreadPoolExecutor(2) as lanes:
        for _ in range(rounds + 1):
            free.append(second_core(one, other))
            alone = wall_ms(lambda: [draw(renderer) for renderer, _ in pair])
            ratios.append(wall_ms(lambda: list(lanes.map(draw, [r for r, _ in pair]))) / alone)
    for renderer, context in pair:
        renderer.close()
        context.close()
    return {"ratio": round(statistics.median(ratios[1:]), 3), "free": round(statistics.median(free[1:]), 3)}


def identities(data: Path, assets: Path) -> dict[str, dict[str, float]]:
    """Similarity of each avatar to its portrait, by portrait and clip; empty without network or pictures."""
    clips = [data / name for name in identity.CLIPS if (data / name).is_file()]
    portraits = [path for name in identity.PORTRAITS if (path := data / "portraits" / name).is_file()]
    if not (assets / identity.NETWORK).is_file() or not clips:
        return {}
    network = identity.Likeness(assets)
    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    performances = {path.stem: identity.performed(path) for path in clips}
    found: dict[str, dict[str, float]] = {}
    for path in portraits:
        avatar = make(np.ascontiguousarray(cv2.imread(str(path))[..., ::-1]))
        renderer, context = opened(avatar)
        found[path.stem] = {
            clip: round(identity.similarity(avatar, renderer, moves, network, landmarker), 3)
            for clip, moves in performances.items()
        }
        renderer.close()
        context.close()
    landmarker.close()
    return found


def opening_s(avatar: Avatar, costs: Costs, rounds: int = 5) -> float:
    """CPU seconds, median, from a package on disk to a renderer that can draw; scaled."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.avatar"
        save_avatar(avatar, path)
        for _ in range(rounds):
            costs.reference.measure()
            started = time.process_time()
            renderer, context = opened(load_avatar(path))
            taken.append(time.process_time() - started)
            renderer.close()
            context.close()
    return round(statistics.median(taken) * costs.reference.scale, 3)


def main() -> None:
    here = Path(__file__).resolve().parents[2] / "shared"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=here / "data", help="folder with expressive/ and talk/")
    parser.add_argument("--assets", type=Path, default=here / "assets", help="folder with the network")
    parser.add_argument("--clips", nargs="*", default=[], help="parts of names; all four without it")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    from skimage.data import astronaut

    cv2.setNumThreads(1)
    threadpool_limits(limits=1, user_api="blas")  # as an engine does; its idle threads would count as drawing
    costs = Costs(Reference(), [], [], [])
    make(astronaut(), costs)
    costs.create.clear()
    result: dict[str, Any] = {"clips": {}}
    for name in CLIPS:
        path = options.data / name
        wanted = not options.clips or any(part in path.stem for part in options.clips)
        if wanted and path.is_file():
            result["clips"][path.stem] = reenact(path, costs)
    avatar = make(astronaut(), costs)
    result["open_cpu_s"] = opening_s(avatar, costs)
    result["flicker"] = flicker(astronaut())
    result["two_lanes"] = two_lanes(avatar)
    result["machine"] = machine()
    if not options.clips:
        result["identity"] = identities(options.data, options.assets)
        each = [value for row in result["identity"].values() for value in row.values()]
        known = [value for value in each if not math.isnan(value)]
        if known:
            result["identity_similarity"] = round(statistics.fmean(known), 3)
    if costs.render:
        result["render_cpu_ms"] = round(statistics.median(costs.render) * 1000 * costs.reference.scale, 2)
        result["skin_cpu_ms"] = round(statistics.median(costs.skin) * 1000 * costs.reference.scale, 2)
        result["create_cpu_s"] = round(statistics.median(costs.create) * costs.reference.scale, 2)
        result["reference_scale"] = round(costs.reference.scale, 3)

    table = Table(title="Photo avatar, self-reenactment")
    for heading in (
        "clip",
        "psnr_face",
        "ssim_face",
        "psnr_copy",
        "psnr_flow",
        "gap_closed",
        "gap_landmarks",
        "gap_light",
    ):
        table.add_column(heading, justify="left" if heading == "clip" else "right")
    for name, row in result["clips"].items():
        table.add_row(name, *(str(row[column.header]) for column in table.columns[1:]))
    console = Console()
    console.print(table)
    console.print({key: value for key, value in result.items() if key != "clips"})
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
