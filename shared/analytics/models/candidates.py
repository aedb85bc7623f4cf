"""The purchase models there are, and how each is learnt from a shop of any size."""

from __future__ import annotations

from collections.abc import Mapping

from shared.analytics.models import priors
from shared.analytics.models.bg_nbd import BgNbd
from shared.analytics.models.fitting import Fit, Prior
from shared.analytics.models.gamma_gamma import GammaGamma, Spend
from shared.analytics.models.groups import Groups
from shared.analytics.models.mbg_cnbd import MbgCnbd
from shared.analytics.models.mbg_nbd import MbgNbd
from shared.analytics.models.pareto_nbd import ParetoNbd

PurchaseFit = Fit[BgNbd] | Fit[MbgNbd] | Fit[ParetoNbd] | Fit[MbgCnbd]

PURCHASES: Mapping[str, type[BgNbd] | type[MbgNbd] | type[ParetoNbd] | type[MbgCnbd]] = {
    "bg_nbd": BgNbd,
    "mbg_nbd": MbgNbd,
    "pareto_nbd": ParetoNbd,
    "mbg_cnbd": MbgCnbd,
}


def learn(name: str, groups: Groups, unit_days: float, *, pooling: bool = True) -> PurchaseFit:
    """Fit one model; few buyers are pooled with the published parameters, so nobody is too small."""
    return PURCHASES[name].fit(groups, _prior(name, groups, unit_days) if pooling else None)


def _prior(name: str, groups: Groups, unit_days: float) -> Prior | None:
    return priors.of_purchases(name, unit_days) if groups.customers < priors.FEW else None


def learn_all(
    groups: Groups, unit_days: float, regularity: int | None = None, *, pooling: bool = True
) -> dict[str, PurchaseFit]:
    """Fit every model that can differ: MBG/CNBD-k only where purchases are regular (k > 1).

    `regularity`: k where it is known from elsewhere; otherwise it is found, if the gaps are known.
    """
    found = {name: learn(name, groups, unit_days, pooling=pooling) for name in ("bg_nbd", "mbg_nbd", "pareto_nbd")}
    if regularity is None and groups.log_gaps is not None:
        regular = learn("mbg_cnbd", groups, unit_days, pooling=pooling)
    elif regularity is not None and regularity > 1:
        prior = _prior("mbg_cnbd", groups, unit_days) if pooling else None
        regular = MbgCnbd.of_regularity(regularity, groups, prior)
    else:
        return found
    if isinstance(regular.model, MbgCnbd) and regular.model.k > 1:
        found["mbg_cnbd"] = regular
    return found


def learn_spend(spend: Spend, buyers: int, typical: float) -> Fit[GammaGamma]:
    """Fit gamma-gamma; pooled as the purchases are. `typical`: an order's value where nobody's spend is known."""
    few = buyers < priors.FEW or not spend.customers
    return GammaGamma.fit(spend, priors.of_spend(spend, typical) if few else None)
