"""What customers will bring: expected orders, discounted, times what they spend per order (顧客生涯価値)."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from shared.analytics.models.groups import FloatArray, Groups, IntArray

MONTHS = 12
DAYS_PER_MONTH = 365.0 / 12


class PurchaseModel(Protocol):
    """BG/NBD, MBG/NBD, Pareto/NBD and BG/BB alike."""

    def log_likelihood(self, groups: Groups) -> float:
        """Of all customers together."""

    def expected_orders(self, groups: Groups, time: float) -> FloatArray:
        """Per group, within `time` from now."""

    def expected_orders_by(self, groups: Groups, times: FloatArray) -> FloatArray:
        """Per group and horizon."""

    def weighted_orders(self, groups: Groups, times: FloatArray, weights: FloatArray) -> FloatArray:
        """Combinations of the horizons, per group."""

    def p_order_within(self, groups: Groups, time: float) -> FloatArray:
        """Per group."""


class DrawableModel(PurchaseModel, Protocol):
    """A model whose forecasts have an interval."""

    def orders_drawn(self, groups: Groups, time: float, draws: int, random: np.random.Generator) -> IntArray:
        """Of those alive, per group and draw."""


def discounted_orders(
    model: PurchaseModel, groups: Groups, unit_days: float, annual_discount: float, months: int = MONTHS
) -> FloatArray:
    """Orders expected in each of the coming months, discounted to now from the month's end, summed; per group.

    `unit_days`: days in the model's unit of time.
    """
    ends = np.arange(1, months + 1, dtype=np.float64)
    factors = (1 + annual_discount) ** (-ends / 12)
    # Σ d_m (E_m - E_{m-1}), by the cumulative columns as they are
    weights = factors - np.append(factors[1:], 0.0)
    return model.weighted_orders(groups, ends * (DAYS_PER_MONTH / unit_days), weights)


def customer_lifetime_value(orders_by_group: FloatArray, group: IntArray, mean_value: FloatArray) -> FloatArray:
    """Per customer: discounted orders of the customer's group times the expected value of an order."""
    return np.asarray(orders_by_group[group] * mean_value)
