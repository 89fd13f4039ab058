"""Named parameters of spaces as Optuna and its dashboard know them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archgraph.search.driver import Driver
from archgraph.spaces import Choice, Domain, Float, Int, Ordered, Space


def domains_of(driver: Driver) -> dict[str, Domain]:
    """Return the domains of the space that a driver, or one that it wraps, searches; none where it searches none."""
    held = [value for name, value in vars(driver).items() if not name.startswith("_")]
    for value in held:
        if isinstance(value, Space):
            return dict(value.domains)
    inner = (domains_of(value) for value in held if isinstance(value, Driver))
    return next((found for found in inner if found), {})


def distribution(domain: Domain) -> Any:
    """Return the distribution of Optuna that has the values of a domain; None where there is none."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, Int):
        return IntDistribution(domain.low, domain.high, log=domain.log)
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.log)
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.options)
    return CategoricalDistribution(domain.numbers) if isinstance(domain, Ordered) else None


def shown(values: Mapping[str, Any], domains: Mapping[str, Domain]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return parameters and their distributions for a trial of Optuna, of all values whose domains have one.

    Args:
        values: of parameters by name.
        domains: of all parameters.
    """
    known = {name: distribution(domains[name]) for name in values if name in domains}
    kept = {name: one for name, one in known.items() if one is not None and domains[name].contains(values[name])}
    return {name: values[name] for name in kept}, kept
