"""The list of other people's models: where each file comes from and how to know it.

Plain data. No file is part of maskwatch; `maskwatch models get NAME` fetches it from its publisher
or makes it from a package that its publisher gives out.
Addresses are pinned to a tag, a commit or a branch that is no longer worked on where there is one,
because the files have moved within their repositories before.
"""

from __future__ import annotations

from dataclasses import dataclass

from maskwatch.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are known to be right.

    Attributes:
        sha256: Their SHA-256, 64 hexadecimal digits in lower case.
        bytes: Their number.
    """

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model.

    Attributes:
        name: Its name in the cache folder.
        url: The publisher's address; of a file made here, that of the package it is made from.
        content: What that address serves, or what is made.
        also: Other versions of the file that work as well, accepted from the user.
    """

    name: str
    url: str
    content: Content
    also: tuple[Content, ...] = ()

    @property
    def accepted(self) -> tuple[Content, ...]:
        """All contents that are right for this file."""
        return (self.content, *self.also)


@dataclass(frozen=True, slots=True)
class Model:
    """A named model.

    Attributes:
        name: What the user calls it.
        kind: `detector`, so far.
        purpose: What it is for, in one line.
        licence: Its licence, as its publisher states it.
        origin: The publisher's page.
        loader: How to load it.
        files: Its files; weights first, then the text of the network.
        extra: The extra of maskwatch that brings the package which the files are made from, on
            this computer; empty where they are downloaded.
    """

    name: str
    kind: str
    purpose: str
    licence: str
    origin: str
    loader: str
    files: tuple[ModelFile, ...]
    extra: str = ""

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.content.bytes for file in self.files)

    @property
    def by_hand(self) -> str:
        """The command that installs the model from files that the user has."""
        return f"maskwatch models get {self.name}{' --from FILE' * len(self.files)}"


_RAW = "https://raw.githubusercontent.com"

_YUNET = Model(
    name="yunet",
    kind="detector",
    purpose="YuNet: fast face detector with 5 landmarks",
    licence="MIT",
    origin="https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet",
    loader="cv2.FaceDetectorYN; lower its threshold to 0.6, masked faces score low",
    files=(
        ModelFile(
            name="face_detection_yunet_2023mar.onnx",
            # `raw`, not raw.githubusercontent.com: that host serves the Git LFS pointer.
            url="https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
            "face_detection_yunet_2023mar.onnx",
            content=Content(
                "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4", 232_589
            ),
        ),
    ),
)

_YUNET_N = Model(
    name="yunet-n",
    kind="detector",
    purpose="YuNet's wider variant: finds more faces at 1.35 times the cost",
    licence="Apache-2.0",
    origin="https://github.com/ShiqiYu/libfacedetection.train",
    loader="cv2.FaceDetectorYN, as yunet",
    files=(
        ModelFile(
            name="yunet_n_640_640.onnx",
            url=f"{_RAW}/ShiqiYu/libfacedetection.train/master/onnx/yunet_n_640_640.onnx",
            content=Content(
                "25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31", 317_466
            ),
        ),
    ),
)

_SSD = Model(
    name="ssd",
    kind="detector",
    purpose="OpenCV's res10 300x300 SSD, 8-bit TensorFlow form",
    licence="Apache-2.0 (that of OpenCV, whose sample it is; none is stated for the weights)",
    origin="https://github.com/opencv/opencv/tree/4.x/samples/dnn/face_detector",
    loader="cv2.dnn.readNetFromTensorflow(weights, text); 300x300 BGR less (104, 177, 123)",
    files=(
        ModelFile(
            name="opencv_face_detector_uint8.pb",
            url=f"{_RAW}/opencv/opencv_3rdparty/dnn_samples_face_detector_20180220_uint8/"
            "opencv_face_detector_uint8.pb",
            content=Content(
                "5c71d752ef2cbf2f457ac82fdd580fcb2522fd04c5efdaed18eb6d9e2843fbed", 2_727_750
            ),
        ),
        ModelFile(
            name="opencv_face_detector.pbtxt",
            # A commit: the text was changed over time, and moved in 5.x.
            url=f"{_RAW}/opencv/opencv/ab129cfb80ea437e194c702f4b39fd67153ee15c/"
            "samples/dnn/face_detector/opencv_face_detector.pbtxt",
            content=Content(
                "5397808362fc6fb7c4044484848e297b22449d913a267fa7f8bd9d86dce29144", 34_912
            ),
        ),
    ),
)

_SSD_CAFFE = Model(
    name="ssd-caffe",
    kind="detector",
    purpose="the same res10 SSD as ssd, full-precision Caffe form",
    licence="Apache-2.0 (that of OpenCV, whose sample it is; none is stated for the weights)",
    origin="https://github.com/opencv/opencv/tree/4.x/samples/dnn/face_detector",
    loader="cv2.dnn.readNetFromCaffe(text, weights), OpenCV 4 only; input as ssd",
    files=(
        ModelFile(
            name="res10_300x300_ssd_iter_140000.caffemodel",
            url="https://github.com/opencv/opencv_3rdparty/raw/"
            "dnn_samples_face_detector_20170830/res10_300x300_ssd_iter_140000.caffemodel",
            content=Content(
                "2a56a11a57a4a295956b0660b4a3d76bbdca2206c4961cea8efe7d95c7cb2f2d", 10_666_211
            ),
        ),
        ModelFile(
            name="deploy.prototxt",
            url=f"{_RAW}/opencv/opencv/4.0.1/samples/dnn/face_detector/deploy.prototxt",
            content=Content(
                "f62621cac923d6f37bd669298c428bb7ee72233b5f8c3389bb893e35ebbcf795", 28_092
            ),
            also=(
                # The text on OpenCV's 4.x branch.
                Content("dcd661dc48fc9de0a341db1f666a2164ea63a67265c7f779bc12d6b3f2fa67e9", 28_103),
            ),
        ),
    ),
)

_ULTRA = Model(
    name="ultra",
    kind="detector",
    purpose="Ultra-Light RFB at 640 x 480, trained on masked faces too",
    licence="MIT",
    origin="https://github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB"
    "/tree/master/masked_face",
    loader="ONNX Runtime; 640x480 RGB less 127, over 128",
    files=(
        ModelFile(
            name="RFB-640-masked_face-v2.onnx",
            url=f"{_RAW}/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB/master/masked_face/"
            "pretrained/RFB-640-masked_face-v2.onnx",
            content=Content(
                "27ca3e5985f722e91efea7993f625716de627303c4bafb40bb26f456286beca8", 1_566_571
            ),
        ),
    ),
)

_AIZOO = Model(
    name="aizoo",
    kind="detector",
    purpose="AIZOO's mask detector: 260 px SSD, mask or no mask in one pass",
    licence="MIT",
    origin="https://github.com/AIZOOTech/FaceMaskDetection",
    loader="cv2.dnn.readNetFromCaffe(text, weights), OpenCV 4 only; 260x260 RGB over 255",
    files=(
        ModelFile(
            name="face_mask_detection.caffemodel",
            url=f"{_RAW}/AIZOOTech/FaceMaskDetection/master/models/face_mask_detection.caffemodel",
            content=Content(
                "3c2e89cffdc9459a69dd5c2e4c1ca263e6488a56a5a37d81ca2ff32344fbf740", 4_053_526
            ),
        ),
        ModelFile(
            name="face_mask_detection.prototxt",
            url=f"{_RAW}/AIZOOTech/FaceMaskDetection/master/models/face_mask_detection.prototxt",
            content=Content(
                "8de363802d3557f3d9ff7e72dd61eead60f5e9e145bb962d7979b99ff85d4212", 13_490
            ),
        ),
    ),
)

_MTCNN_PACKAGE = "https://pypi.org/project/mtcnn/1.0.0/"

_MTCNN_STOCK = Model(
    name="mtcnn-stock",
    kind="detector",
    purpose="MTCNN with 5 landmarks, weights of the package mtcnn 1.0",
    licence="MIT",
    origin="https://github.com/ipazc/mtcnn",
    loader="ONNX Runtime; P-, R- and O-Net, float32 BGR from 0 to 255",
    files=(
        ModelFile(
            name="pnet.onnx",
            url=_MTCNN_PACKAGE,
            content=Content(
                "8d487ab1c0ee3ad1a72649ee87b068e9f82cf8492edf7af906dbdb924492a79c", 34_394
            ),
        ),
        ModelFile(
            name="rnet.onnx",
            url=_MTCNN_PACKAGE,
            content=Content(
                "425a107144bbc1d3cfa684c92c49451aa01f236b305311642bae0cf9a9ee2b4d", 424_415
            ),
        ),
        ModelFile(
            name="onet.onnx",
            url=_MTCNN_PACKAGE,
            content=Content(
                "9ad14076e35bf6b76b61cc8282b5d95730c67996de6b7f9e6bc8ac048d7593f9", 1_573_590
            ),
        ),
    ),
    extra="mtcnn",
)

MODELS: dict[str, Model] = {
    model.name: model
    for model in (_YUNET, _YUNET_N, _SSD, _SSD_CAFFE, _ULTRA, _AIZOO, _MTCNN_STOCK)
}
"""Every model that can be fetched, by name."""


def model(name: str) -> Model:
    """Look a model up.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    return MODELS[name]
