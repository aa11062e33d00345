"""How far a measured share may lie from the true one."""

from __future__ import annotations

import math

Z_95 = 1.959963984540054
"""The standard normal quantile of 0.975: 95% lie within this many deviations of the mean."""


def wilson(hits: int, count: int, z: float = Z_95) -> tuple[float, float]:
    """The score interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22, 209-212).

    Unlike the usual mean and deviation it stays within 0 and 1 and holds for few samples and for
    shares near 1. It takes samples for independent; faces of one photo are somewhat alike, so the
    true interval is a little wider.

    Args:
        hits: Samples that have the property.
        count: All samples.
        z: Deviations; the default gives a 95% interval.

    Returns:
        Lower and upper end; NaN without samples.
    """
    if not count:
        return math.nan, math.nan
    share = hits / count
    spread = z * z / count
    centre = share + spread / 2
    half = z * math.sqrt(share * (1 - share) / count + spread / count / 4)
    # The ends at 0 and 1 are exact; rounding would put them a little off.
    low = 0.0 if hits == 0 else (centre - half) / (1 + spread)
    high = 1.0 if hits == count else (centre + half) / (1 + spread)
    return low, high
