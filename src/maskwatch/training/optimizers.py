"""The optimizer of trainings that keep the running mean of their weights."""

from __future__ import annotations

import keras


def averaging_adamw(
    peak_rate: float,
    steps: int,
    *,
    warmup_steps: int,
    weight_decay: float,
    ema: float,
    clipnorm: float | None = None,
) -> keras.optimizers.AdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) with a running mean of the weights.

    Args:
        peak_rate: Learning rate after the warm-up; it falls as a cosine to 0.
        steps: Batches of the whole training.
        warmup_steps: Steps in which the rate rises from 0.
        weight_decay: Of AdamW.
        ema: Momentum of the running mean; less in trainings too short for it, see
            `mean_momentum`.
        clipnorm: Largest norm of the gradient of one variable.
    """
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(steps - warmup_steps, 1), warmup_target=peak_rate, warmup_steps=warmup_steps
    )
    return keras.optimizers.AdamW(
        rate,
        weight_decay=weight_decay,
        clipnorm=clipnorm,
        use_ema=True,
        ema_momentum=mean_momentum(ema, steps),
    )


def mean_momentum(wanted: float, steps: int) -> float:
    """Momentum of a running mean of weights, low enough that a short training leaves its start."""
    return max(min(wanted, 1 - 3 / steps), 0.0)
