"""Cut the crops of one network from all photos; for R- and O-Net what the ones before find."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import keras
import numpy as np

from maskwatch.datasets.records import Track, silently
from maskwatch.detectors.mtcnn.stages import proposals, refined
from maskwatch.errors import UnreadableImageError
from maskwatch.images import read_image, write_image
from maskwatch.runtime import OnnxModel
from maskwatch.training.augment import blur, jpeg, noise
from maskwatch.training.faces import ahead, cores
from maskwatch.training.mtcnn.crops import Rows, row_type, square_rows, window_rows
from maskwatch.training.mtcnn.networks import answers_of
from maskwatch.training.mtcnn.photos import Photo
from maskwatch.training.mtcnn.recipe import POSITIVE, MtcnnRecipe
from maskwatch.training.mtcnn.samples import SampleWriter, load_samples, preview
from maskwatch.training.onepass.pack import NO_STATE
from maskwatch.types import CLASSES, Image, MaskState

_DAMAGES = ((0.5, jpeg), (0.4, blur), (0.3, noise))


def cut_samples(
    stage: str,
    photos: Sequence[Photo],
    before: Sequence[Path],
    path: Path,
    recipe: MtcnnRecipe,
    *,
    landmarks: keras.Model | None = None,
    stop: threading.Event | None = None,
    track: Track = silently,
) -> Rows | None:
    """Cut them, by photo in an order by chance, write them and a picture of some beside them.

    Args:
        stage: The network that they are for.
        photos: Where from.
        before: ONNX files of the networks before it, in their order.
        path: The `.npy` file.
        recipe: How many, and from which scores on candidates are taken.
        landmarks: An O-Net whose landmarks of bare faces are to be learnt; None for none.
        stop: When set, the work is left, and nothing is kept.
        track: Shows how far it is.

    Returns:
        The crops; None where it was stopped.

    Raises:
        OutputError: The file cannot be written.
        ModelError: A network before it is missing or damaged.
    """
    networks = [OnnxModel(file, threads=1) for file in before]
    rng = np.random.default_rng(recipe.seed)
    views = [(photo, view) for photo in photos for view in range(recipe.views)]
    work = [views[index] for index in rng.permutation(len(views))]

    def rows_at(number: int) -> Rows:
        photo, view = work[number]
        return _rows_of(stage, photo, view, networks, recipe, number)

    stopped = False
    numbers = track(range(len(work)), f"cutting for the {stage}")
    with (
        SampleWriter(path, stage) as writer,
        closing(ahead(numbers, rows_at, workers=cores())) as found,
    ):
        for rows in found:
            stopped = stop is not None and stop.is_set()
            if stopped or writer.count >= recipe.max_samples:
                break
            if landmarks is not None:
                _mark(rows, landmarks)
            writer.add(rows)
    if stopped:
        path.unlink(missing_ok=True)
        return None
    rows = load_samples(path, stage)
    write_image(path.with_suffix(".png"), preview(rows, stage))
    return rows


def _rows_of(
    stage: str,
    photo: Photo,
    view: int,
    networks: Sequence[OnnxModel],
    recipe: MtcnnRecipe,
    number: int,
) -> Rows:
    """The rows of one view of a photo; every second view is damaged."""
    rng = np.random.default_rng((recipe.seed, number))
    try:
        image = read_image(photo.path)
    except UnreadableImageError:  # it was there when the labels were read
        return np.zeros(0, row_type(stage))
    if view % 2:
        image = damaged(image, rng)
    if stage == "pnet":
        return window_rows(image, photo, recipe, rng)
    found = proposals(networks[0], image, recipe.smallest_px, recipe.min_proposal_score)
    if stage == "onet":
        found = refined(networks[1], image, found, recipe.min_refined_score)
    return square_rows(stage, image, photo, found, recipe, rng)


def damaged(image: Image, rng: np.random.Generator) -> Image:
    """A photo as a poorer camera would have taken and saved it, in the same size."""
    for probability, damage in _DAMAGES:
        if rng.random() < probability:
            image = damage(image, rng)
    return image


def _mark(rows: Rows, network: keras.Model) -> None:
    """Fill in the landmarks that a network gives for bare faces."""
    bare = np.isin(rows["state"], [NO_STATE, CLASSES.index(MaskState.WITHOUT_MASK)])
    own = np.nonzero(bare & (rows["kind"] == POSITIVE))[0]
    if len(own):
        rows["landmarks"][own] = answers_of(network, rows["crop"][own])[:, 4:-1]
