"""What is known before a shop has customers enough: published parameters, loosely (小規模店).

Below `FEW` buyers a model takes the mode of its posterior under these priors instead of the maximum of the likelihood.
Nothing is refused, nothing runs along a ridge, and the fit says `pooled`. The spreads are wide (a factor of e either
way is one standard deviation), so that some hundred buyers already outweigh them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shared.analytics.models.fitting import Prior
from shared.analytics.models.gamma_gamma import LEAST_Q, Spend

FEW = 500
"""Buyers below which a fit is pooled."""

SOURCE = "the published ones of CDNOW (Fader, Hardie & Lee 2005)"

# CDNOW's 1/10 sample, α and β in weeks. The unit of α and β is time: it differs more between shops than a shape does.
_PURCHASES: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "bg_nbd": ((0.243, 4.414, 0.793, 2.426), (1.0, 1.5, 1.0, 1.0)),
    "mbg_nbd": ((0.525, 6.183, 0.891, 1.614), (1.0, 1.5, 1.0, 1.0)),
    "mbg_cnbd": ((0.525, 6.183, 0.891, 1.614), (1.0, 1.5, 1.0, 1.0)),
    "pareto_nbd": ((0.553, 10.578, 0.606, 11.669), (1.0, 1.5, 1.0, 1.5)),
}
_TIMES = {"bg_nbd": (1,), "mbg_nbd": (1,), "mbg_cnbd": (1,), "pareto_nbd": (1, 3)}
_SPEND = (6.25, 3.74)
_SPEND_SPREAD = (1.0, 0.7, 1.0)


def of_purchases(model: str, unit_days: float) -> Prior:
    """For a purchase model by its name; `unit_days` are the days in the data's unit of time."""
    center, spread = (np.array(each) for each in _PURCHASES[model])
    center[list(_TIMES[model])] *= 7.0 / unit_days
    return Prior(center, spread, SOURCE)


def of_spend(spend: Spend, typical: float) -> Prior:
    """For gamma-gamma: published shapes around the shop's own mean order (`typical`, where nobody has come back)."""
    p, q = _SPEND
    average = float(spend.count @ spend.mean) / spend.customers if spend.customers else max(typical, 1e-9)
    return Prior(np.array([p, max(q, LEAST_Q), average * (q - 1) / p]), np.array(_SPEND_SPREAD), SOURCE)
