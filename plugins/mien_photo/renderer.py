"""Renders a photo avatar: one frame of face parameters in, one picture out."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import PackageError
from mien.face.camera import Camera, rotation_matrix
from mien.face.chart import Lookup
from mien.face.model import gaze_rotation, load_model
from mien.face.normals import vertex_normals
from mien.frames import BufferPool, Bytes, FaceParams, Float, VideoFrame
from mien.render.composition import apart, over
from mien.render.fragments import empty_fragments
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien.stage import Background, Context, Fragments, Kind, Rasterizer, Renderer
from mien_photo import (
    apertures,
    backdrop,
    lashes,
    lids,
    package,
    relighting,
    shading,
    teeth,
    tongue,
    warp,
    window,
)
from mien_photo.anatomy import Opening, Skin, skin_of
from mien_photo.package import PhotoAvatar
from mien_photo.posing import SkinPose
from mien_photo.stance import Limits, Stance
from mien_photo.surroundings import Surroundings

Ints = NDArray[np.int32]

_MARGIN_CM = (0.55, 0.5, 0.5)
_DETAIL = 1.5
"""px of the source used per px of the output: more would flicker, less be blurred."""
_LEVELS = ((2, 2), (3, 2), (4, 1))
"""(px of the output per px of the map, samples per px and axis in windows)."""
_POOL = 8
_BANDS = 16
_SOFT = 7
"""px of the map over which the shading is averaged: its triangles must not be seen."""
_REFLECTION = 0.55
"""How far the light's reflection on the cornea goes along with the eye: a ball on a ball."""


class PhotoRenderer(Renderer):
    """Warps the portrait: a coarse surface for hair and shoulders, the face over it, and small windows with
    eyes and mouth drawn anew. Levels: 0 is the best; the further ones warp more coarsely.
    """

    levels = len(_LEVELS)

    def __init__(self) -> None:
        self._level = 0
        self._background = Background()
        self._picture: _Picture | None = None

    def open(self, context: Context) -> None:
        """Raises `PackageError` when the avatar is not a photo avatar.

        OpenCV is told, for the whole process, to stay on the thread that calls it: lanes are the threads here.
        """
        cv2.setNumThreads(1)  # lanes are the parallelism; OpenCV's own pool spins beside them
        avatar = context.avatar
        if avatar is None or avatar.content.renderer != package.RENDERER:
            kind = "none" if avatar is None else avatar.content.renderer
            raise PackageError(
                f"The photo renderer needs a photo avatar, this one is {kind!r}. "
                "Make one: mien avatar create PHOTO --out NAME.avatar"
            )
        model = load_model(avatar.content.face_model)
        skin = skin_of(model)
        photo = package.unpack(avatar.content, model, skin)
        self._limits = Limits(photo.subject, model.pivot)
        chart = Lookup.of(model.mean[skin.vertices])
        around = Surroundings(photo.grid.still, photo.subject, model)
        self._picture = _Picture(
            photo, skin, chart, around, model.pivot, context.service(Kind.RASTERIZER), context.size
        )
        self._picture.use(self._level)
        self.set_background(self._background)

    def close(self) -> None:
        self._picture = None

    def set_level(self, level: int) -> None:
        self._level = int(np.clip(level, 0, self.levels - 1))
        if self._picture is not None:
            self._picture.use(self._level)

    def set_background(self, background: Background) -> None:
        self.prepare_background(background)()

    def prepare_background(self, background: Background) -> Callable[[], None]:
        picture = self._picture
        back = None if picture is None else picture.behind(background)

        def change() -> None:
            self._background = background
            if picture is not None and back is not None:
                picture.put_behind(background, back)

        return change

    def process(self, params: FaceParams) -> VideoFrame:
        if self._picture is None:
            raise RuntimeError("PhotoRenderer.process needs open() first")
        expression = np.clip(np.nan_to_num(params.expression), 0, 1).astype(np.float32)
        detail = None if params.detail is None else np.nan_to_num(params.detail)
        around = float(np.clip(np.nan_to_num(params.detail_around), 0, 1))
        pixels, alpha = self._picture.draw(
            expression, detail, around, self._limits.stance(params), params.light
        )
        return VideoFrame(
            pixels, params.capture_ns, alpha, params.index, params.epoch, backdrop=self._background.colour
        )


class _Picture:
    """Everything of one avatar at one size, and the buffers to draw it."""

    def __init__(
        self,
        photo: PhotoAvatar,
        skin: Skin,
        chart: Lookup,
        around: Surroundings,
        pivot: Float,
        rasterizer: Rasterizer,
        size: tuple[int, int],
    ) -> None:
        self.photo = photo
        self.skin = skin
        self.around = around
        self.pivot = pivot
        self.rasterizer = rasterizer
        self.width, self.height = size
        side = photo.source.shape[0]
        scale = min(self.width, self.height) / side
        camera = photo.subject.camera
        self.source_lens = lens_of(camera)
        self.camera = Camera(
            self.width,
            self.height,
            camera.focal * scale,
            camera.cx * scale + (self.width - side * scale) / 2,
            camera.cy * scale + (self.height - side * scale) / 2,
        )
        self.side = np.float32(side)
        self.frame = np.array(
            [scale, (self.width - side * scale) / 2, (self.height - side * scale) / 2], np.float32
        )
        self.lens = lens_of(self.camera)
        used = min(side, round(_DETAIL * side * scale))
        # A copy at the least: packages hold read-only arrays, for which the kernels would be compiled once more.
        self.source = (
            np.asarray(cv2.resize(photo.source, (used, used), interpolation=cv2.INTER_AREA), np.uint8)
            if used < side
            else photo.source.copy()
        )
        self.used = np.float32(used / side)
        self.canvas, origin = backdrop.extended(self.source, photo.beside.source, side)
        left, right = (part.shape[1] for part in photo.beside.source)
        self.extent = np.array([-left, side + right, origin], np.float32)
        self.support = backdrop.support(self.canvas[..., 3])
        self.spans = np.empty((_BANDS, 2), np.int32)
        self.shaded = np.empty(4, np.int32)
        small = cv2.resize(self.source, (used // 4, used // 4), interpolation=cv2.INTER_AREA)
        smoothed = np.asarray(cv2.GaussianBlur(small, (0, 0), max(used / 4 / 120, 0.5)), np.uint8)
        self.plate = backdrop.framed(photo.plate, photo.beside.plate, self.width, self.height)
        self.back: Bytes = self.plate
        self.transparent = False
        self._made: tuple[str, Bytes | None, Bytes] = ("keep", None, self.plate)

        subject = photo.subject
        self.home = rotation_matrix(subject.rest_rotation)
        self.portrait_pose = pose_matrix(self.home, subject.rest_translation)
        self.face = SkinPose(skin, photo.likeness, chart, subject.neutral)
        self.face.update(np.array(subject.neutral))
        self.portrait_skin = self.face.vertices.copy()
        eyes = [opening.outline(self.face.source_xy) * (self.used / 4) for opening in skin.openings[1:]]
        self.smoothed = lids.bare(smoothed, eyes)
        edges = [opening.upper.apply(self.face.source_xy) * self.used for opening in skin.openings[1:]]
        self.lashes = lashes.of_both(self.source, edges)
        self.unwoven, none = np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32)
        self.grain = [none, *lids.grains(self.source, [eye * np.float32(4) for eye in eyes])]
        shown = (
            self.source,
            self.face.source_xy * self.used,
            np.asarray(vertex_normals(self.portrait_skin, skin.triangles) @ self.home.T, np.float32),
            skin.presence,
        )
        light = shading.light_of(*shown)
        self.shading = shading.Shading(skin, self.portrait_skin, self.home, light)
        self.exposure = relighting.Exposure.of(shading.skin_colours(*shown))
        self.moved = np.zeros_like(self.portrait_skin)
        self.skin_clip = np.empty((len(skin.vertices), 4), np.float32)
        self.grid_clip = np.empty((len(photo.grid.still), 4), np.float32)
        self.grid_triangles = photo.grid.triangles
        self.triangles = np.concatenate([skin.triangles, *(_both_sides(o.cap) for o in skin.openings)])
        self.windows = [_Window(opening) for opening in skin.openings]
        _, self.arc = teeth.arc_lengths(photo.arch.half_width, photo.arch.depth)
        self.arch = photo.arch.packed()
        self.palette = photo.palette.packed()
        self.rows = tuple(np.array(row) for row in photo.rows)
        self.tongue = tongue.Tongue(
            photo.arch, photo.palette, skin.openings[0], tongue.towards(light, self.home)
        )
        self.papillae = tongue.papillae()
        self.eyes = [
            (
                np.array([*eye.centre, eye.radius, eye.iris_radius], np.float32),
                np.array(eye.box, np.float32),
                np.array(eye.white),
                np.array(eye.iris),
                np.array(eye.glint),
                eye.gaze,
            )
            for eye in photo.eyes
        ]
        self.pool = BufferPool((self.height, self.width, 3), np.uint8, _POOL)
        self.alpha_pool = BufferPool((self.height, self.width), np.uint8, _POOL)
        self.warped = np.empty((self.height, self.width, 4), np.uint8)
        self.full_map = np.empty((self.height, self.width, 2), np.float32)

    def use(self, level: int) -> None:
        step, self.samples = _LEVELS[level]
        width, height = max(self.width // step, 16), max(self.height // step, 16)
        self.map = np.empty((height, width, 2), np.float32)
        self.soft_map = np.empty_like(self.map)
        self.factor = np.empty((height, width), np.float32)
        self.grid_hits = empty_fragments(1, height, width)
        self.skin_hits = empty_fragments(1, height, width)

    def behind(self, background: Background) -> Bytes:
        """What `background` looks like, (H, W, 3). It can take as long as several frames, so the last one is kept; of
        the colour only a colour depends.
        """
        mode, image, back = self._made
        if background.mode == mode != "colour" and (mode != "image" or background.image is image):
            return back
        plate = self.plate
        if background.mode == "transparent":
            left, right = self.photo.beside.source
            beside = left[..., :3], right[..., :3]
            plate = backdrop.framed(self.photo.source[..., :3], beside, self.width, self.height)
        back = backdrop.behind(background, plate)
        self._made = background.mode, background.image, back
        return back

    def put_behind(self, background: Background, back: Bytes) -> None:
        """back: what `behind` said."""
        self.transparent = background.mode == "transparent"
        self.back = back

    def draw(
        self, expression: Float, detail: Float | None, around: float, stance: Stance, light: Float
    ) -> tuple[Bytes, Bytes | None]:
        """detail, around: see `FaceParams`; light: (9, 3), relative to the portrait's. Returns (H, W, 3) colours and,
        where the background is transparent, (H, W) alpha.
        """
        face = self.face
        face.update(expression, detail)
        pose = pose_matrix(stance.rotation, stance.translation)
        resting = pose_matrix(self.home, np.asarray(stance.pivot - self.home @ self.pivot, np.float32))
        np.subtract(face.vertices, self.portrait_skin, out=self.moved)
        self._place(pose, resting)
        if detail is not None and around > 0:
            self.around.follow(expression, detail, around, pose, self.lens, self.grid_clip)
        self._find()
        picture = self.pool.take()
        np.copyto(picture, self.back)
        alpha = self.alpha_pool.take() if self.transparent else None
        self._paint(picture, alpha)
        out = self.tongue.out(expression, face.vertices)
        for k, frame in enumerate(self.windows):
            if frame.place(self.lens, pose, face.vertices, _MARGIN_CM[k], face.drawn_out_cm[k]):
                drawn = self._open(k, frame, pose, expression, stance, picture)
                if k == 0 and out > 0:
                    self._stick_out(frame, drawn, pose, expression, out, picture)
        self._shade(stance, light, picture)
        return picture, alpha

    def _shade(self, stance: Stance, light: Float, picture: Bytes) -> None:
        """Let the face turn under the light of the portrait, and all of the person under what changed of it."""
        relit = relighting.relight(light, self.exposure)
        change = relit or relighting.AS_IT_IS
        gain = self.shading.gain(self.face.vertices, stance.rotation, change)
        hits = self.skin_hits
        shading.spread(
            gain, hits.triangle[0], hits.barycentric[0], self.triangles, change.around, self.factor,
            self.shaded,
        )  # fmt: skip
        left, top, right, bottom = self.shaded.tolist()
        height, width = self.factor.shape
        if relit is not None:
            left, top, right, bottom = 0, 0, width, height
        elif left >= right:
            return
        left, top = max(left - _SOFT, 0), max(top - _SOFT, 0)
        right, bottom = min(right + _SOFT, width), min(bottom + _SOFT, height)
        part = self.factor[top:bottom, left:right]
        cv2.blur(part, (_SOFT, _SOFT), dst=part, borderType=cv2.BORDER_REPLICATE)
        shading.apply(
            self.factor, change.tint, self.exposure.hue, left, top, right, bottom, self.warped, self.spans,
            self.transparent, picture,
        )  # fmt: skip

    def _place(self, pose: Float, resting: Float) -> None:
        """Where grid and skin are in clip space."""
        grid = self.photo.grid
        warp.grid_to_clip(
            grid.head, grid.still, grid.turn, grid.shift, grid.bound, grid.weights, self.moved, pose, resting,
            self.lens, self.frame, self.grid_clip,
        )  # fmt: skip
        to_clip(self.face.vertices, pose, self.lens, self.skin_clip)

    def _find(self) -> None:
        """Where in the source each pixel of the picture lies: `full_map`."""
        grid, face = self.photo.grid, self.face
        height, width = self.map.shape[:2]
        self.rasterizer.rasterize(
            self.grid_clip[None], self.grid_triangles, height, width, cull=False, out=self.grid_hits
        )
        self.rasterizer.rasterize(self.skin_clip[None], self.triangles, height, width, out=self.skin_hits)
        warp.compose_map(
            self.grid_hits.triangle[0], self.grid_hits.barycentric[0], self.grid_triangles, grid.still,
            self.skin_hits.triangle[0], self.skin_hits.barycentric[0], self.triangles, face.source_xy,
            self.skin.presence, self.frame, np.float32(self.width / width), self.used, self.side, self.extent,
            self.map,
        )  # fmt: skip
        # Where the surface folds, the map jumps; a soft jump is a soft contour.
        cv2.blur(self.map, (3, 3), dst=self.soft_map, borderType=cv2.BORDER_REPLICATE)
        cv2.resize(
            self.soft_map, (self.width, self.height), dst=self.full_map, interpolation=cv2.INTER_LINEAR
        )

    def _paint(self, picture: Bytes, alpha: Bytes | None) -> None:
        """Draw the warped person over what is in `picture`, or side by side with `alpha`; only where the person
        can be.
        """
        if alpha is not None:
            alpha[:] = 0
        warp.spans(self.soft_map, self.support, self.spans)
        step = self.width / self.map.shape[1]
        for band, (first, last) in enumerate(self.spans.tolist()):
            if first >= last:
                continue
            top, bottom = self.height * band // _BANDS, self.height * (band + 1) // _BANDS
            left, right = max(int((first - 1) * step), 0), min(int((last + 1) * step) + 1, self.width)
            cv2.remap(
                self.canvas,
                self.full_map[top:bottom, left:right],
                None,
                cv2.INTER_LINEAR,
                dst=self.warped[top:bottom, left:right],
                borderMode=cv2.BORDER_REPLICATE,
            )
            if alpha is None:
                over(self.warped, self.back, top, bottom, left, right, picture)
            else:
                apart(self.warped, top, bottom, left, right, picture, alpha)

    def _open(
        self, k: int, frame: _Window, pose: Float, expression: Float, stance: Stance, picture: Bytes
    ) -> tuple[Float, Float, Float]:
        """Draw one opening at full resolution. Returns what was gathered, and the first and last row of the opening,
        see `window.gather` and `window.edges`; until the next frame.
        """
        face, samples = self.face, self.samples
        hits, gathered, inside, top, bottom = frame.buffers(samples)
        lens = frame.lens(self.camera, samples)
        np.take(face.vertices, frame.vertices, axis=0, out=frame.points)
        to_clip(frame.points, pose, lens, frame.clip)
        self.rasterizer.rasterize(
            frame.clip[None], frame.local, frame.height * samples, frame.width * samples, out=hits
        )
        window.gather(
            hits.triangle[0], hits.barycentric[0], frame.triangles, frame.skin_count, face.source_xy,
            face.line, self.skin.presence, samples, gathered,
        )  # fmt: skip
        window.edges(gathered, top, bottom)
        corner = np.array([frame.left, frame.top], np.float32)
        if k == 0:
            window.inside_mouth(
                gathered, top, bottom, corner, pose, self.lens, self.arch, self._jaw(expression),
                apertures.roundness(expression), self.arc, self.rows[0], self.rows[1], self.palette, inside,
            )  # fmt: skip
        else:
            ball, box, white, iris, glint, own = self.eyes[k - 1]
            turned = own + stance.gaze[k - 1]
            reflecting = own + _REFLECTION * stance.gaze[k - 1]
            window.inside_eye(
                gathered, top, corner, pose, self.portrait_pose, self.lens, self.source_lens, ball,
                gaze_rotation(*turned), gaze_rotation(*reflecting), box, white, iris, glint, inside,
            )  # fmt: skip
        window.blend(
            gathered,
            inside,
            self.source,
            self.smoothed,
            self.grain[k],
            self._weave(k, frame, pose),
            self.used,
            np.float32(4.0),
            frame.left,
            frame.top,
            picture,
        )
        if k > 0 and face.shut[k] > lashes.FROM:
            self._lash(k, pose, picture)
        return gathered, top, bottom

    def _weave(self, k: int, frame: _Window, pose: Float) -> Float:
        """(2, 3) from px of the window to those of the grain of a lid; zeros where none is drawn."""
        if k == 0 or self.face.shut[k] <= 0:
            return self.unwoven
        fine = float(self.source_lens[2] * self.used / -self.portrait_pose[2, 3])
        return lids.weave(pose, self.lens, self.eyes[k - 1][0][:3], fine, frame.left, frame.top)

    def _lash(self, k: int, pose: Float, picture: Bytes) -> None:
        """Draw the lashes of an eye that closes."""
        edge = self._seen(self.skin.openings[k].upper.apply(self.face.vertices), pose)
        self.lashes[k - 1].draw(edge, self.face.shut[k], float(-pose[2, 3] / self.lens[2]), picture)

    def _jaw(self, expression: Float) -> Float:
        """(4,) how far the lower teeth are moved, and their tilt; see `teeth.Arch`."""
        arch = self.photo.arch
        return np.append(expression @ arch.jaw, expression @ arch.tilt).astype(np.float32)

    def _stick_out(
        self,
        frame: _Window,
        drawn: tuple[Float, Float, Float],
        pose: Float,
        expression: Float,
        out: float,
        picture: Bytes,
    ) -> None:
        """Lay the tongue over the mouth that has just been drawn in `frame`; drawn: what `_open` returned."""
        gathered, top, bottom = drawn
        points, look = self.tongue.laid_out(out, self._jaw(expression), self.face.vertices)
        cm = float(-pose[2, 3] / self.lens[2])
        seen = self._seen(points, pose)
        first = np.floor(np.maximum(seen.min(axis=0) - 1, (frame.left, frame.top))).astype(int)
        room = np.array([1, 1 + tongue.SHADOW_REACH_CM / cm])
        end = frame.left + frame.width, self.height
        last = np.ceil(np.minimum(seen.max(axis=0) + room, end)).astype(int)
        (left, above), (width, height) = first.tolist(), (last - first).tolist()
        if width < 1 or height < 1:
            return
        clip = np.empty((len(points), 4), np.float32)
        to_clip(points, pose, _lens_of(self.camera, left, above, width, height, self.samples), clip)
        hits = self.rasterizer.rasterize(
            clip[None], self.tongue.triangles, height * self.samples, width * self.samples, cull=False
        )
        tongue.lay(
            hits.triangle[0], hits.barycentric[0], self.tongue.triangles, look, gathered, top, bottom,
            self.papillae, self.samples, np.float32(cm), left - frame.left, above - frame.top, left, above, picture,
        )  # fmt: skip

    def _seen(self, points: Float, pose: Float) -> Float:
        """points: (N, 3) head space -> (N, 2) px of the picture."""
        clip = np.empty((len(points), 4), np.float32)
        to_clip(np.asarray(points, np.float32), pose, self.lens, clip)
        seen = (clip[:, :2] / clip[:, 3:] * (0.5, -0.5) + 0.5) * (self.width, self.height)
        return np.asarray(seen, np.float32)


class _Window:
    """A rectangle of the picture around one opening, and buffers that grow with it."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._box = np.empty(4, np.int32)
        self.triangles = np.concatenate([opening.window, _both_sides(opening.cap)])
        self.skin_count = len(opening.window)
        self.vertices, local = np.unique(self.triangles, return_inverse=True)
        self.local = np.ascontiguousarray(local.reshape(-1, 3), np.int32)
        self.points = np.empty((len(self.vertices), 3), np.float32)
        self.clip = np.empty((len(self.vertices), 4), np.float32)
        self.left = self.top = self.width = self.height = 0
        self._room = 0

    def place(self, lens: Float, pose: Float, vertices: Float, margin_cm: float, above_cm: float) -> bool:
        """Around the opening as posed, and `above_cm` more above it; False when it lies outside of the picture."""
        upper, lower, box = self._opening.upper, self._opening.lower, self._box
        window.bounds(
            upper.vertices, upper.weights, lower.vertices, lower.weights, vertices, pose, lens,
            np.float32(margin_cm), np.float32(above_cm), box,
        )  # fmt: skip
        left, top, right, bottom = box.tolist()
        self.left, self.top = max(left, 0), max(top, 0)
        self.width = min(right, int(lens[0])) - self.left
        self.height = min(bottom, int(lens[1])) - self.top
        return self.width > 4 and self.height > 4

    def lens(self, camera: Camera, samples: int) -> Float:
        """The camera of this rectangle alone, `samples` times as fine."""
        return _lens_of(camera, self.left, self.top, self.width, self.height, samples)

    def buffers(self, samples: int) -> tuple[Fragments, Float, Float, Float, Float]:
        height, width = self.height, self.width
        fine = height * width * samples * samples
        if fine > self._room:
            self._room = fine * 5 // 4
            self._triangle = np.empty(self._room, np.int32)
            self._barycentric = np.empty(self._room * 2, np.float32)
            self._depth = np.empty(self._room, np.float32)
            self._gathered = np.empty(self._room * 9, np.float32)
            self._inside = np.empty(self._room * 3, np.float32)
        shape = (1, height * samples, width * samples)
        hits = Fragments(
            self._triangle[:fine].reshape(shape),
            self._barycentric[: 2 * fine].reshape(*shape, 2),
            self._depth[:fine].reshape(shape),
        )
        area = height * width
        return (
            hits,
            self._gathered[: 9 * area].reshape(height, width, 9),
            self._inside[: 3 * area].reshape(height, width, 3),
            np.empty(width, np.float32),
            np.empty(width, np.float32),
        )


def _lens_of(camera: Camera, left: int, top: int, width: int, height: int, samples: int) -> Float:
    """(5,) see `lens_of`: of a rectangle of the camera's picture alone, `samples` times as fine."""
    numbers = (width, height, camera.focal, camera.cx - left, camera.cy - top)
    return np.array([number * samples for number in numbers], np.float32)


def _both_sides(triangles: Ints) -> Ints:
    return np.ascontiguousarray(np.concatenate([triangles, triangles[:, ::-1]]))
