"""Structured logs and metrics with an allow-list: ids, counts and reasons, never a person's data."""

from __future__ import annotations

from functools import cache

from aws_lambda_powertools import Logger, Metrics

NAMESPACE = "Matakite"


@cache
def logger(service: str) -> Logger:
    """The JSON logger of one domain. Log named fields (`extra={…}`), never an event or a body."""
    return Logger(service=service, log_uncaught_exceptions=False)


@cache
def metrics(service: str) -> Metrics:
    """The metrics of one domain (EMF). At most 20 names in the product: each costs $0.30 a month."""
    return Metrics(namespace=NAMESPACE, service=service)


def tell(service: str, name: str, count: int) -> None:
    """Count something out of the ordinary, at once. Of nothing, nothing: a name costs for the hours it is told in."""
    if count:
        metrics(service).add_metric(name, "Count", count)
        metrics(service).flush_metrics()
