"""Reads the pages that reports are."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import cv2
import numpy as np

from maskwatch.types import Image

VOID = {"meta", "img", "source", "br"}


class Reader(HTMLParser):
    """Reads a page: which tags there are, whether they close, and where they point."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for key, value in attrs if key in ("src", "srcset", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"{tag} was never opened"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """All that can be read, with single spaces."""
        return " ".join(" ".join(self.words).split())


def decoded(uri: str) -> Image:
    """The picture in a data URI."""
    return decoded_file(base64.b64decode(uri.split(",", 1)[1]))


def decoded_file(content: bytes) -> Image:
    """The picture in the bytes of a file."""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, np.uint8)
