"""The plain loop of the seed projects, to be measured against.

Read a frame with OpenCV, find faces, judge them one by one, draw, write with OpenCV: each step
waits for the one before it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from maskwatch.detectors import Detector
from maskwatch.preprocess import face_crops
from maskwatch.types import Floats, Image

JudgeOne = Callable[[Image], Floats]
"""State probabilities of one face crop."""


def seed_loop(
    video: Path, out: Path, detector: Detector, judge: JudgeOne, size_px: int, limit: int
) -> int:
    """Run the loop on the first `limit` frames and return how many there were."""
    capture = cv2.VideoCapture(str(video))
    rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
    writer: cv2.VideoWriter | None = None
    frames = 0
    while frames < limit:
        ok, image = capture.read()
        if not ok:
            break
        frames += 1
        faces = detector([np.asarray(image, np.uint8)])[0]
        for box in faces.boxes:
            crop = face_crops(np.asarray(image, np.uint8), box[None], size_px)[0]
            probs = judge(crop)
            start, end = (int(box[0]), int(box[1])), (int(box[2]), int(box[3]))
            colour = (0, 255, 0) if probs.argmax() == 0 else (0, 0, 255)
            text = f"{'Mask' if probs.argmax() == 0 else 'No Mask'}: {probs.max() * 100:.2f}%"
            at = (start[0], start[1] - 10)
            cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 2)
            cv2.rectangle(image, start, end, colour, 2)
        if writer is None:
            size = (image.shape[1], image.shape[0])
            fourcc = cv2.VideoWriter.fourcc(*"mp4v")
            writer = cv2.VideoWriter(str(out), fourcc, rate, size)
        writer.write(image)
    capture.release()
    if writer is not None:
        writer.release()
    return frames


def keras_judge(size_px: int) -> JudgeOne | None:
    """One `predict` call of Keras' MobileNetV2 a face, as the seed projects do; None without Keras.

    Its weights are random: time does not depend on them.
    """
    try:
        import keras
    except ImportError:
        return None
    backbone = keras.applications.MobileNetV2(
        input_shape=(size_px, size_px, 3), include_top=False, weights=None, pooling="avg"
    )
    top = keras.layers.Dense(3, activation="softmax")(backbone.output)
    model = keras.Model(backbone.input, top)

    def judge(crop: Image) -> Floats:
        scaled = crop[None, :, :, ::-1].astype(np.float32) / 127.5 - 1
        return np.asarray(model.predict(scaled, verbose=0)[0], np.float32)

    return judge
