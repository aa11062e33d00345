"""Small data sets in every form, drawn by the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from maskwatch.images import write_image
from maskwatch.types import Image

Boxes = list[tuple[str, tuple[float, float, float, float]]]

SIZE_WH = (120, 80)

PHOTOS: dict[str, tuple[str, Boxes]] = {
    "a": ("train", [("with_mask", (10, 10, 50, 60)), ("without_mask", (60, 20, 90, 56))]),
    "b": ("train", [("mask_weared_incorrect", (20, 8, 60, 64))]),
    "c": ("val", [("WithoutMask", (30, 16, 66, 56))]),
    "d": ("test", []),
}
"""By name: the split and the boxes of each photo."""


def drawn(seed: int, size_wh: tuple[int, int] = SIZE_WH) -> Image:
    """A picture of blobs that resembles no other seed's."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 9, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC), np.uint8)


def voc_text(boxes: Boxes) -> str:
    """A VOC annotation."""
    items = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{b[0]}</xmin><ymin>{b[1]}</ymin>"
        f"<xmax>{b[2]}</xmax><ymax>{b[3]}</ymax></bndbox></object>"
        for name, b in boxes
    )
    return f"<annotation>{items}</annotation>"


@dataclass(frozen=True)
class Maker:
    """Writes `PHOTOS` below a folder."""

    folder: Path

    def picture(self, place: str, name: str) -> None:
        write_image(self.folder / place / f"{name}.png", drawn(ord(name)))

    def text(self, place: str, content: str) -> None:
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def lists(self, place: str) -> None:
        for split in ("train", "val", "test"):
            names = [name for name, (own, _) in PHOTOS.items() if own == split]
            self.text(f"{place}/{split}.txt", "".join(f"{name}\n" for name in names))

    def voc(self) -> None:
        for name, (_, boxes) in PHOTOS.items():
            self.picture("images", name)
            self.text(f"annotations/{name}.xml", voc_text(boxes))
        self.lists(".")

    def voc_published(self) -> None:
        for name, (_, boxes) in PHOTOS.items():
            self.picture("JPEGImages", name)
            self.text(f"Annotations/{name}.xml", voc_text(boxes))
        self.lists("ImageSets/Main")

    def voc_flat(self) -> None:
        for name, (_, boxes) in PHOTOS.items():
            self.picture(".", name)
            self.text(f"{name}.xml", voc_text(boxes))

    def _yolo(self, picture: str, label: str) -> None:
        names = sorted({name for _, boxes in PHOTOS.values() for name, _ in boxes})
        width, height = SIZE_WH
        for name, (split, boxes) in PHOTOS.items():
            self.picture(picture.format(split), name)
            lines = [
                f"{names.index(n)} {(x0 + x1) / 2 / width} {(y0 + y1) / 2 / height} "
                f"{(x1 - x0) / width} {(y1 - y0) / height}\n"
                for n, (x0, y0, x1, y1) in boxes
            ]
            if lines:
                self.text(f"{label.format(split)}/{name}.txt", "".join(lines))

    def yolo(self) -> None:
        self._yolo("images/{}", "labels/{}")
        names = sorted({name for _, boxes in PHOTOS.values() for name, _ in boxes})
        self.text("data.yaml", f"train: images/train\nnames: {json.dumps(names)}\n")

    def yolo_published(self) -> None:
        self._yolo("{}/images", "{}/labels")
        names = sorted({name for _, boxes in PHOTOS.values() for name, _ in boxes})
        table = "".join(f"  {i}: {name}\n" for i, name in enumerate(names))
        self.text("data.yaml", f"# made\nnames:\n{table}nc: {len(names)}\n")

    def coco(self) -> None:
        names = sorted({name for _, boxes in PHOTOS.values() for name, _ in boxes})
        for split in ("train", "val", "test"):
            images, annotations = [], []
            for name, (own, boxes) in PHOTOS.items():
                if own != split:
                    continue
                self.picture("images", name)
                images.append({"id": ord(name), "file_name": f"{name}.png"})
                for n, (x0, y0, x1, y1) in boxes:
                    bbox = [x0, y0, x1 - x0, y1 - y0]
                    category = names.index(n) + 1
                    annotations.append(
                        {"image_id": ord(name), "category_id": category, "bbox": bbox}
                    )
            categories = [{"id": i + 1, "name": name} for i, name in enumerate(names)]
            content = {"images": images, "annotations": annotations, "categories": categories}
            self.text(f"annotations/instances_{split}2017.json", json.dumps(content))

    def crops(self) -> None:
        for seed, place in enumerate(
            ("Train/WithMask", "Train/WithoutMask", "Validation/WithMask")
        ):
            self.picture(place, chr(ord("a") + seed))
        self.picture("Test/incorrect mask", "z")
