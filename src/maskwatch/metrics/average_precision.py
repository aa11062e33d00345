"""Precision against recall of ranked faces, the area under it, and how sure it is."""

from __future__ import annotations

import numpy as np

from maskwatch.metrics.found import Doubles, Flags, Indices

COCO_POINTS = 101
"""The recalls, from 0 to 1, at which COCO reads the precision."""

RESAMPLES = 200
_INTERVAL = (2.5, 97.5)


def precision_recall(hit: Flags, count: int) -> tuple[Doubles, Doubles]:
    """Precision and recall after each of K faces, best score first, twice `(K,)`.

    Args:
        hit: `(K,)` whether each is a hit.
        count: Labelled faces that were to be found, at least 1.
    """
    hits = np.cumsum(hit)
    return hits / np.arange(1, len(hit) + 1), hits / count


def envelope(precision: Doubles) -> Doubles:
    """The best precision at each recall or a higher one; the last axis is that of recall."""
    best: Doubles = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    return best


def average_precision(hit: Flags, count: int, points: int | None = None) -> float:
    """The area under the precision envelope; NaN where there was nothing to be found.

    Args:
        hit: `(K,)` whether each face is a hit, best score first.
        count: Labelled faces that were to be found.
        points: Read the envelope at this many recalls from 0 to 1, as COCO does; None takes all.
    """
    if not count:
        return float("nan")
    if not hit.any():
        return 0.0
    precision, recall = precision_recall(hit, count)
    best = envelope(precision)
    if points is None:
        return float(best[hit].sum() / count)
    places = np.searchsorted(recall, np.linspace(0, 1, points), side="left")
    return float(np.append(best, 0.0)[places].mean())


def resampling(photos: int, seed: int = 0, resamples: int = RESAMPLES) -> Doubles:
    """How often each photo is drawn when as many as there are are drawn at random, `(R, P)`."""
    rng = np.random.default_rng(seed)
    if not photos:
        return np.zeros((resamples, 0))
    return rng.multinomial(photos, np.full(photos, 1 / photos), resamples).astype(np.float64)


def resampled(hit: Flags, photo: Indices, counts: Doubles, weights: Doubles) -> Doubles:
    """The average precision of every resample, `(R,)`; NaN for one with nothing to be found.

    The same as `average_precision` of photos that come as often as they were drawn.

    Args:
        hit: `(K,)` whether each face is a hit, best score first.
        photo: `(K,)` number of the photo of each.
        counts: `(P,)` labelled faces of each photo that were to be found.
        weights: `(R, P)`, see `resampling`.
    """
    totals = weights @ counts
    places = np.nonzero(hit)[0]
    if not len(places):
        return np.where(totals > 0, 0.0, np.nan)
    # Precision is needed at hits alone, for it falls between them: what lies from one hit to the
    # next is summed. Single precision holds these counts exactly and takes half the time.
    drawn = weights.astype(np.float32)[:, photo[: places[-1] + 1]]
    starts = np.concatenate([[0], places[:-1] + 1])
    seen = np.cumsum(np.add.reduceat(drawn, starts, axis=1), axis=1, dtype=np.float64)
    hits = drawn[:, places].astype(np.float64)
    precision = np.cumsum(hits, axis=1) / np.maximum(seen, 1)
    areas = (hits * envelope(precision)).sum(axis=1)
    shares = np.divide(areas, totals, out=np.full(len(totals), np.nan), where=totals > 0)
    return np.asarray(shares, np.float64)


def interval(samples: Doubles) -> tuple[float, float]:
    """The middle 95% of resampled figures; NaN where none is defined."""
    known = samples[~np.isnan(samples)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, _INTERVAL)
    return float(low), float(high)
