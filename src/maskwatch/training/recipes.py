"""The recipes: named, frozen sets of training choices. Standard library only: they list fast.

A recipe says what its source did; where the source was wrong, it says what was put right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from maskwatch.errors import UnknownNameError, UsageError

OPTIMIZERS = ("adam", "adamw", "rmsprop")
SCALES = ("own", "unit")
POOLS = ("avg", "flatten")
OUTPUTS = ("softmax", "logit")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True, slots=True)
class Shifts:
    """Geometric augmentation as Keras' `ImageDataGenerator` did it; edges are repeated.

    Attributes:
        rotation_deg: Turned by up to this angle either way.
        zoom: Scaled by 1 minus to 1 plus this, each side on its own.
        shift: Moved by up to this share of the side, either way.
        shear_deg: Sheared by up to this angle either way.
        flip: Whether half of the views are mirrored.
    """

    rotation_deg: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    shear_deg: float = 0.0
    flip: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a classifier is trained.

    Attributes:
        name: For `--recipe`.
        summary: One line.
        source: What it reproduces and what was put right.
        backbone: A name of `keras.applications`.
        size_px: Side of the input.
        scale: `own`: as the backbone's ImageNet weights were trained; `unit`: RGB of 0 to 1.
        pool: How feature maps become one row of features: `avg` over all places, or `flatten`.
        dense: Units of the ReLU layers between features and output.
        dropout: Share of the last layer's inputs that is dropped in training.
        output: `softmax`, or `logit`: one number for two classes. Three classes take a softmax.
        optimizer: One of `OPTIMIZERS`.
        rate: Learning rate; with the schedule `cosine` its peak.
        weight_decay: Of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101).
        schedule: `constant`, or `cosine`: it falls to 0 as a cosine.
        warmup_steps: Steps in which the rate of `cosine` rises from 0.
        batch: Faces in a batch.
        epochs: Passes over the training faces, at most.
        augmentation: What views of the faces are trained on; None takes them as they are, `strong`
            is `maskwatch.training.augment`.
        views: Augmented views of each face that a frozen base is run on, once; every epoch draws
            one of them for each face.
        trainable: Which layers of the backbone learn: `none`, `all`, or its last N blocks.
        norm_momentum: Of batch normalisation's statistics where the backbone learns; Keras' 0.999
            lags in short trainings.
        validation: Share of the training faces kept for validation where the data have no split
            of that name.
        keep_best: Keep the weights of the epoch with the best validation, not of the last one.
        patience: Stop after so many epochs without a better validation; None never does.
        label_smoothing: Share of each label spread over all classes.
        ema: Momentum of the running mean of the weights, which is then what is kept; None: none.
        first_size_px: Side of the input in the first part of the training: small pictures are
            faster and teach as well until the end (Tan and Le 2021, arXiv:2104.00298).
        first_share: Share of the steps with `first_size_px`.
        boxed_weight: How much more often faces from photos are drawn than ready-made crops.
        rare_weight: How much more often `incorrect_mask` is drawn.
    """

    name: str
    summary: str
    source: str
    backbone: str = "MobileNetV2"
    size_px: int = 224
    scale: str = "own"
    pool: str = "avg"
    dense: tuple[int, ...] = ()
    dropout: float = 0.0
    output: str = "softmax"
    optimizer: str = "adam"
    rate: float = 1e-4
    weight_decay: float = 0.004
    schedule: str = "constant"
    warmup_steps: int = 0
    batch: int = 32
    epochs: int = 20
    augmentation: Shifts | str | None = None
    views: int = 2
    trainable: str | int = "none"
    norm_momentum: float = 0.99
    validation: float = 0.2
    keep_best: bool = False
    patience: int | None = None
    label_smoothing: float = 0.0
    ema: float | None = None
    first_size_px: int | None = None
    first_share: float = 0.0
    boxed_weight: float = 1.0
    rare_weight: float = 1.0

    def __post_init__(self) -> None:
        for kind, value, known in (
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("scale", self.scale, SCALES),
            ("pooling", self.pool, POOLS),
            ("output", self.output, OUTPUTS),
            ("schedule", self.schedule, SCHEDULES),
        ):
            if value not in known:
                raise UnknownNameError(kind, value, known)
        if isinstance(self.augmentation, str) and self.augmentation != "strong":
            raise UnknownNameError("augmentation", self.augmentation, ["strong"])
        _check_trainable(self.trainable)
        for name in ("size_px", "batch", "epochs", "views"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, must be at least 1.")
        if not 0 < self.rate < float("inf"):
            raise UsageError(f"the learning rate is {self.rate}, must be above 0.")

    @property
    def weighted(self) -> bool:
        """Whether some faces are drawn more often than others."""
        return self.boxed_weight != 1 or self.rare_weight != 1

    def size_at(self, step: int, steps: int) -> int:
        """Side of the input in a step of `steps`."""
        early = self.first_size_px is not None and step < self.first_share * steps
        return self.first_size_px if early and self.first_size_px else self.size_px


def _check_trainable(trainable: str | int) -> None:
    if isinstance(trainable, str):
        if trainable not in ("none", "all"):
            raise UsageError(f"--unfreeze {trainable!r} is neither none, all nor a number.")
    elif trainable < 1:
        raise UsageError(f"--unfreeze {trainable} must be at least 1; none freezes everything.")


_SEED_SHIFTS = Shifts(rotation_deg=20, zoom=0.15, shift=0.2, shear_deg=0.15, flip=True)

MOBILENETV2 = Recipe(
    name="mobilenetv2",
    summary="frozen MobileNetV2 at 224 px, dense 128, Adam 1e-4, 20 epochs",
    source="The most copied mask detector (Rosebrock 2020 and its descendants): frozen ImageNet "
    "base, average pool over its 7x7 map, dense 128 relu, dropout 0.5, softmax; rotation 20 "
    "degrees, zoom 0.15, shifts 0.2, shear 0.15 (degrees, as Keras reads it), flip. Put right: "
    "cross-entropy on one softmax (the source takes binary cross-entropy over two), a constant "
    "rate (its decay of rate/epochs a step was all but none), and test pictures that were not "
    "already used as validation data.",
    dense=(128,),
    dropout=0.5,
    augmentation=_SEED_SHIFTS,
)

_RESNET101 = replace(
    MOBILENETV2,
    name="resnet101",
    summary="frozen ResNet101 at 224 px, dense 128, Adam 1e-4, 20 epochs",
    source="As mobilenetv2 with the larger base, to set beside it: the sources that compare the "
    "two change nothing else. Put right: cross-entropy on the softmax, and ResNet's own input "
    "(BGR less the ImageNet mean) where a source fed it MobileNet's -1 to 1.",
    backbone="ResNet101",
)

_RESNET101V2 = Recipe(
    name="resnet101v2",
    summary="frozen ResNet101V2 at 150 px, dense 64, one logit, RMSprop 1e-4, 50 epochs, best kept",
    source="150 px, average pool, dense 64, one linear output, RMSprop 1e-4, batch 128, 50 epochs, "
    "33% validation, checkpoint on the best. Put right: the source pairs its linear output with "
    "binary cross-entropy of from_logits=False, which cuts every output outside 0 to 1 and its "
    "gradient with it; here the loss takes the logit. Three classes take a softmax, one logit "
    "cannot tell them.",
    backbone="ResNet101V2",
    size_px=150,
    dense=(64,),
    output="logit",
    optimizer="rmsprop",
    batch=128,
    epochs=50,
    validation=0.33,
    keep_best=True,
)

_VGG19 = Recipe(
    name="vgg19",
    summary="frozen VGG19 at 128 px of 0 to 1, flatten, dense, Adam, 20 epochs",
    source="128 px scaled by 1/255, flip, zoom and shear 0.2, flatten, one dense layer, Adam at "
    "Keras' 1e-3, 20 epochs. Put right: every epoch sees all batches (the source 9 of 313), "
    "validation and test pictures are not augmented (the source 'tests' on augmented validation "
    "data), softmax with cross-entropy (the source two sigmoids). Kept: the scaling, which is not "
    "the one that VGG19's ImageNet weights were trained with.",
    backbone="VGG19",
    size_px=128,
    scale="unit",
    pool="flatten",
    rate=1e-3,
    augmentation=Shifts(zoom=0.2, shear_deg=0.2, flip=True),
)

_BEST = Recipe(
    name="best",
    summary="MobileNetV2 at 128 px fine-tuned end to end with strong augmentation",
    source="Ours: all layers learn, at 96 px and then at 128 (Tan and Le 2021, arXiv:2104.00298); "
    "AdamW with warm-up and cosine, label smoothing, running mean of the weights; turned, scaled, "
    "mirrored, blurred, of low resolution, JPEG damaged, relit, recoloured, erased; faces of "
    "photos and the rare class drawn more often. The embedded classifier is trained so, on more "
    "data.",
    size_px=128,
    dropout=0.2,
    optimizer="adamw",
    rate=6e-4,
    weight_decay=0.01,
    schedule="cosine",
    warmup_steps=100,
    batch=64,
    epochs=12,
    augmentation="strong",
    trainable="all",
    label_smoothing=0.05,
    ema=0.999,
    first_size_px=96,
    first_share=0.55,
    boxed_weight=2.0,
    rare_weight=3.0,
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        MOBILENETV2,
        replace(
            MOBILENETV2,
            name="mobilenetv2-adamw",
            summary="mobilenetv2 with AdamW",
            source="mobilenetv2 with AdamW (decay 0.004) in place of Adam.",
            optimizer="adamw",
        ),
        _RESNET101,
        replace(
            _RESNET101,
            name="resnet101-adamw",
            summary="resnet101 with AdamW",
            source="resnet101 with AdamW (decay 0.004) in place of Adam.",
            optimizer="adamw",
        ),
        _RESNET101V2,
        _VGG19,
        _BEST,
    )
}
"""By name."""


def recipe_named(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]
