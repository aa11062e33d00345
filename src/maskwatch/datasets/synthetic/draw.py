"""Laying a mask on a face in the light, sharpness and grain of the photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskwatch.boxes import areas
from maskwatch.datasets.synthetic.geometry import (
    Doubles,
    HeadPose,
    checked_landmarks,
    fit_pose,
    landmarks_from_box,
)
from maskwatch.datasets.synthetic.light import (
    blur,
    in_scene_light,
    photo_blur,
    photo_grain,
    skin_likeness,
)
from maskwatch.datasets.synthetic.shapes import Garment, faces_camera, make_garments
from maskwatch.datasets.synthetic.style import STYLES, MaskStyle, Wear
from maskwatch.datasets.synthetic.textures import fabric
from maskwatch.types import Faces, Floats, Image, MaskState

# Small faces are drawn larger and averaged down, so that an eye distance is at least this many
# pixels while drawing.
_DRAWING_UNIT_PX = 72
# Pixels per eye distance of the grid on which u and v of the sheet are found; they vary slowly.
_GRID_UNIT_PX = 28
_REPLICATE = cv2.BORDER_REPLICATE
_SAMPLES = 220
# Less of a mask than this in the picture cannot be told from none.
_LEAST_SHARE = 0.15

# Everything below is in eye distances.
_MARGIN = 0.3
_LOOP_WIDTH = 0.03
# A part of the sheet this far behind another in the same place is its far side.
_HIDDEN_BEHIND = 0.3
_SHADOW_DROP = 0.06
_SHADOW_BLUR = 0.06
_CHEEKS = np.array([[x, y, 0.2] for x in (-0.5, -0.2, 0.2, 0.5) for y in (0.4, 0.6)])


@dataclass(frozen=True, slots=True)
class _Patch:
    """The part of the picture that is redrawn, and the finer canvas over it.

    Attributes:
        x0, y0, x1, y1: In pixels of the picture; may reach over its border.
        zoom: Canvas pixels per picture pixel.
        unit: Canvas pixels per eye distance.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    zoom: int
    unit: float

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in picture pixels."""
        return self.x1 - self.x0, self.y1 - self.y0

    def on_canvas(self, points: Doubles) -> Doubles:
        """Canvas coordinates of picture coordinates, pixel centres at whole numbers."""
        return (points - [self.x0, self.y0] + 0.5) * self.zoom - 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """A mask's sheet seen from the camera, sampled on a grid `(n, n)`.

    Attributes:
        u, v: Coordinates on the sheet.
        xy: Pixels of the picture, `(n, n, 2)`.
        nearness: Towards the camera, in eye distances.
        facing: Cosine between the sheet's outside and the view; negative where it faces away.
    """

    u: Doubles
    v: Doubles
    xy: Doubles
    nearness: Doubles
    facing: Doubles


def draw_masks(
    image: Image,
    faces: Faces,
    styles: Sequence[MaskStyle] = tuple(STYLES.values()),
    *,
    wears: Sequence[Wear] = (Wear.CORRECT,),
    rng: np.random.Generator,
) -> tuple[Image, tuple[MaskState, ...]]:
    """Draw a mask on every face of a picture.

    Args:
        image: `(H, W, 3)` uint8 BGR; not changed.
        faces: Where the bare faces are; without landmarks, average ones are put in their boxes.
        styles: What each face draws its mask from.
        wears: What each face draws its way of wearing from.
        rng: The only source of chance.

    Returns:
        A new picture, and one state a face in the order of `faces`.
    """
    if not styles or not wears:
        raise ValueError(f"need a style and a wear, got {len(styles)} and {len(wears)}.")
    drawn = image.copy()
    states = [MaskState.WITHOUT_MASK] * len(faces)
    # Small faces are far ones: nearer masks go over them.
    for index in np.argsort(areas(faces.boxes), kind="stable"):
        style = styles[int(rng.integers(len(styles)))]
        wear = wears[int(rng.integers(len(wears)))]
        if faces.landmarks is None:
            landmarks = landmarks_from_box(faces.boxes[index])
        else:
            landmarks = faces.landmarks[index]
        drawn, states[index] = draw_mask(drawn, landmarks, style, wear=wear, rng=rng)
    return drawn, tuple(states)


def draw_mask(
    image: Image,
    landmarks: ArrayLike,
    style: MaskStyle,
    *,
    wear: Wear = Wear.CORRECT,
    rng: np.random.Generator,
) -> tuple[Image, MaskState]:
    """Draw a mask on a bare face.

    Args:
        image: `(H, W, 3)` uint8 BGR; not changed.
        landmarks: `(5, 2)` pixels in the order of `Faces.landmarks`; may lie outside the picture.
        style: What the mask looks like.
        wear: How it is worn.
        rng: The only source of chance: the same seed gives the same picture.

    Returns:
        A new picture, and the state that the mask drawn means. Where the mask would lie outside
        the picture nothing is drawn, and the state is `WITHOUT_MASK`.

    Raises:
        ValueError: The landmarks are not `(5, 2)`, not finite or all in one place.
    """
    pose = fit_pose(checked_landmarks(landmarks))
    drawn = image.copy()
    for garment in make_garments(style.kind, wear, pose, rng):
        sheet = _seen(garment, pose)
        if _share_inside(sheet, image) >= _LEAST_SHARE:
            break
    else:
        return drawn, MaskState.WITHOUT_MASK
    patch = _plan(sheet, garment, pose, image)
    skin = _cut_out(image, patch)
    cover, colour = _render_sheet(sheet, style, patch, rng)
    colour = in_scene_light(colour, skin, cover, pose.unit_px, from_skin=garment.on_head)
    loops = _render_loops(garment, pose, skin, patch)
    # Pale and pastel masks come with white loops, dark ones with dark.
    strand = 0.25 if np.mean(style.colour) < 128 else 0.95
    skin = _composite(skin, cover, colour, loops, strand, patch, rng)
    _paste(drawn, skin, patch)
    return drawn, wear.state


def _seen(garment: Garment, pose: HeadPose) -> _Sheet:
    """The sheet in the picture; it reaches a little over its edges so that they stay sharp."""
    u, v = np.meshgrid(np.linspace(-1.06, 1.06, _SAMPLES), np.linspace(-0.05, 1.05, _SAMPLES))
    points = garment.surface(u, v)
    turned = pose.turned(points)
    normal = np.cross(np.gradient(turned, axis=1), np.gradient(turned, axis=0))
    facing = normal[..., 2] / np.maximum(np.linalg.norm(normal, axis=-1), 1e-12)
    if not garment.on_head:
        # A sheet on end may show either of its sides.
        facing = np.abs(facing)
    return _Sheet(u, v, pose.project(points), turned[..., 2], facing)


def _share_inside(sheet: _Sheet, image: Image) -> float:
    """How much of the sheet lies in the picture, 0 to 1."""
    limit = [image.shape[1], image.shape[0]]
    return float(np.all((sheet.xy >= 0) & (sheet.xy < limit), axis=-1).mean())


def _plan(sheet: _Sheet, garment: Garment, pose: HeadPose, image: Image) -> _Patch:
    """The patch to redraw."""
    margin = _MARGIN * pose.unit_px
    points = np.concatenate([sheet.xy.reshape(-1, 2), *map(pose.project, garment.loops)])
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    limit = np.array([image.shape[1], image.shape[0]])
    low, high = np.maximum(low, -margin), np.minimum(high, limit + margin)
    zoom = max(1, int(np.ceil(_DRAWING_UNIT_PX / pose.unit_px)))
    x0, y0 = np.floor(low).astype(int).tolist()
    x1, y1 = np.ceil(high).astype(int).tolist()
    return _Patch(x0, y0, x1, y1, zoom, pose.unit_px * zoom)


def _inside(patch: _Patch, image: Image) -> tuple[slice, slice, slice, slice]:
    """Rows and columns of the picture, then of the patch, where they meet."""
    height, width = image.shape[:2]
    rows = slice(max(patch.y0, 0), min(patch.y1, height))
    columns = slice(max(patch.x0, 0), min(patch.x1, width))
    return (
        rows,
        columns,
        slice(rows.start - patch.y0, rows.stop - patch.y0),
        slice(columns.start - patch.x0, columns.stop - patch.x0),
    )


def _cut_out(image: Image, patch: _Patch) -> Floats:
    """The patch as float32 from 0 to 1; beyond the border the edge pixels go on."""
    rows, columns, inner_rows, inner_columns = _inside(patch, image)
    width, height = patch.size_wh
    around = (
        inner_rows.start,
        height - inner_rows.stop,
        inner_columns.start,
        width - inner_columns.stop,
    )
    padded = cv2.copyMakeBorder(image[rows, columns], *around, _REPLICATE)
    return np.divide(padded, 255, dtype=np.float32)


def _paste(image: Image, skin: Floats, patch: _Patch) -> None:
    """Write the redrawn patch where it lies in the picture."""
    rows, columns, inner_rows, inner_columns = _inside(patch, image)
    redrawn = np.rint(np.clip(skin[inner_rows, inner_columns], 0, 1) * 255)
    image[rows, columns] = redrawn.astype(np.uint8)


def _render_sheet(
    sheet: _Sheet, style: MaskStyle, patch: _Patch, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Coverage `(H, W)` and colour `(H, W, 3)` of the sheet, in picture pixels."""
    width, height = patch.size_wh
    cover = _silhouette(sheet, patch)
    u, v, facing = _inverse_map(sheet, patch)
    tall, wide = int(np.clip(1.5 * patch.unit, 48, 1200)), int(np.clip(2.4 * patch.unit, 72, 1800))
    cloth = fabric(style, tall, wide, rng)
    laid = cv2.remap(
        cloth,
        ((u + 1) / 2 * (wide - 1)).astype(np.float32),
        (v * (tall - 1)).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=_REPLICATE,
    )
    laid = laid * (0.52 + 0.48 * np.clip(facing, 0, 1) ** 0.8)[..., None]
    # Averaged down with its coverage, so that no colour from outside the sheet bleeds in.
    mixed = np.dstack([laid * cover[..., None], cover]).astype(np.float32)
    mixed = np.asarray(cv2.resize(mixed, (width, height), interpolation=cv2.INTER_AREA))
    cover = np.asarray(mixed[..., 3], dtype=np.float32)
    colour = mixed[..., :3] / np.maximum(cover, 1e-3)[..., None]
    return cover, np.asarray(colour, np.float32)


def _silhouette(sheet: _Sheet, patch: _Patch) -> Floats:
    """Canvas coverage 0 to 1: the union of the sheet's cells that face the camera."""
    width, height = (side * patch.zoom for side in patch.size_wh)
    # Twice as fine as the canvas: OpenCV smooths the edges of lines but not of filled cells.
    canvas = np.zeros((height * 2, width * 2), np.uint8)
    rows = np.flatnonzero((sheet.v[:, 0] >= 0) & (sheet.v[:, 0] <= 1))[::4]
    columns = np.flatnonzero((sheet.u[0] >= -1) & (sheet.u[0] <= 1))[::4]
    # Four fractional bits: OpenCV takes fixed-point corners.
    corners = (patch.on_canvas(sheet.xy[np.ix_(rows, columns)]) + 0.5) * 2 - 0.5
    grid = np.rint(corners * 16).astype(np.int32)
    facing = sheet.facing[np.ix_(rows, columns)]
    cells = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=2)
    shown = facing[:-1, :-1] + facing[:-1, 1:] + facing[1:, 1:] + facing[1:, :-1] > 0
    for cell in cells[shown]:
        cv2.fillConvexPoly(canvas, cell, 255, cv2.LINE_8, 4)
    cover = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return blur(np.divide(cover, 255, dtype=np.float32), 0.6)


def _inverse_map(sheet: _Sheet, patch: _Patch) -> tuple[Floats, Floats, Floats]:
    """u, v and facing at every canvas pixel, `(H, W)` each.

    The samples of the sheet that face the camera are averaged into the cells of a coarse grid;
    empty cells take over from their neighbours; the grid is then enlarged to the canvas.
    """
    width, height = (side * patch.zoom for side in patch.size_wh)
    cell = patch.unit / _GRID_UNIT_PX
    shape = (int(np.ceil(height / cell)) + 1, int(np.ceil(width / cell)) + 1)
    place = (patch.on_canvas(sheet.xy) + 0.5) / cell - 0.5
    front = (sheet.facing > 0) & np.all((place > 0) & (place < [shape[1] - 1, shape[0] - 1]), -1)
    front &= _nearest(place, sheet.nearness, front)
    at, values = place[front], np.stack([sheet.u, sheet.v, sheet.facing], -1)[front]
    sums = np.zeros((*shape, 4))
    base = np.floor(at).astype(int)
    part = at - base
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
            flat = (base[:, 1] + dy) * shape[1] + base[:, 0] + dx
            for channel, value in enumerate((*values.T, np.ones(len(at)))):
                sums[..., channel] += np.bincount(
                    flat, share * value, minlength=shape[0] * shape[1]
                ).reshape(shape)
    filled = _fill(sums.astype(np.float32))
    # Row of the matrix: grid coordinate of a canvas pixel.
    shrink = np.array([[1 / cell, 0, 0.5 / cell - 0.5], [0, 1 / cell, 0.5 / cell - 0.5]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    full: Floats = np.asarray(
        cv2.warpAffine(filled, shrink, (width, height), flags=flags, borderMode=_REPLICATE),
        np.float32,
    )
    return full[..., 0], full[..., 1], full[..., 2]


def _nearest(place: Doubles, nearness: Doubles, front: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which samples are not hidden behind a nearer part of the sheet in the same grid cell."""
    cells = np.floor(np.where(front[..., None], place, 0)).astype(int)
    nearest = np.full(cells.reshape(-1, 2).max(axis=0) + 1, -np.inf)
    np.maximum.at(nearest, (cells[..., 0], cells[..., 1]), np.where(front, nearness, -np.inf))
    return np.asarray(nearness > nearest[cells[..., 0], cells[..., 1]] - _HIDDEN_BEHIND)


def _fill(sums: Floats) -> Floats:
    """Weighted sums and their weight `(h, w, 4)` to means everywhere, `(h, w, 3)`."""
    means = np.zeros((*sums.shape[:2], 3), np.float32)
    open_cells = np.ones(sums.shape[:2], bool)
    for sigma in (0.5, 2.0, 8.0, 32.0):
        soft = blur(sums, sigma)
        known = open_cells & (soft[..., 3] > 1e-2)
        means[known] = soft[known][:, :3] / soft[known][:, 3:]
        open_cells &= ~known
    return means


def _render_loops(garment: Garment, pose: HeadPose, skin: Floats, patch: _Patch) -> Floats:
    """Coverage of the ear loops, `(H, W)` in picture pixels."""
    width, height = patch.size_wh
    # Twice as fine as the canvas: OpenCV's thick curves are bumpy.
    fine = replace(patch, zoom=patch.zoom * 2, unit=patch.unit * 2)
    canvas = np.zeros((height * fine.zoom, width * fine.zoom), np.uint8)
    thickness = max(1, round(_LOOP_WIDTH * fine.unit))
    for loop in garment.loops:
        points = np.rint(fine.on_canvas(pose.project(loop)) * 16).astype(np.int32)
        if garment.on_head:
            # From the first point that the head hides on, the loop is behind it.
            seen = faces_camera(loop, pose) > -0.05
            points = points[: len(points) if seen.all() else int(np.argmin(seen))]
        if len(points) > 1:
            cv2.polylines(canvas, [points], False, 255, thickness, cv2.LINE_AA, 4)
    loops = np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA))
    cover: Floats = np.divide(loops, 255, dtype=np.float32)
    if not garment.on_head:
        return cover
    cheeks_px = pose.project(_CHEEKS) - [patch.x0, patch.y0]
    return cover * skin_likeness(skin, cheeks_px, pose.unit_px)


def _composite(
    skin: Floats,
    cover: Floats,
    colour: Floats,
    loops: Floats,
    strand: float,
    patch: _Patch,
    rng: np.random.Generator,
) -> Floats:
    """Shadow, loops and sheet over the skin, with the photo's own blur and grain."""
    unit_px = patch.unit / patch.zoom
    softness = photo_blur(skin, unit_px)
    cover, loops = blur(cover, softness), blur(loops, softness)
    colour = blur(colour, softness)
    shift = np.array([[1, 0, 0], [0, 1, _SHADOW_DROP * unit_px]])
    fallen = cv2.warpAffine(cover, shift, patch.size_wh)
    shade = 0.32 * blur(np.asarray(fallen, np.float32), _SHADOW_BLUR * unit_px)
    shade = shade + 0.22 * blur(cover, 0.025 * unit_px)
    shade = shade + 0.3 * blur(loops, 0.02 * unit_px)
    shade = np.where(np.maximum(shade, cover) < 4e-3, 0, shade)[..., None]
    tone = blur(skin, 0.15 * unit_px).mean(axis=2)
    loop_colour = np.clip(strand * (0.6 + 0.6 * tone), 0, 1)[..., None]
    under = skin * (1 - shade)
    under = under * (1 - loops[..., None]) + loop_colour * loops[..., None]
    grain = photo_grain(skin) * rng.standard_normal(skin.shape[:2]).astype(np.float32)
    over = colour + grain[..., None]
    return np.asarray(under * (1 - cover[..., None]) + over * cover[..., None], np.float32)
