"""Searching: the driver contract, budgets, studies, and the loop that joins them."""

from archgraph.search.artifacts import Artifacts
from archgraph.search.budget import Budget
from archgraph.search.driver import Driver, Sequential, Session, Setting, Steps, default_settings, read_settings
from archgraph.search.search import run, search
from archgraph.search.study import Study, load_study
from archgraph.search.trial import Trial

__all__ = [
    "Artifacts",
    "Budget",
    "Driver",
    "Sequential",
    "Session",
    "Setting",
    "Steps",
    "Study",
    "Trial",
    "default_settings",
    "load_study",
    "read_settings",
    "run",
    "search",
]
