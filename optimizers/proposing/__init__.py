"""What drivers share that search a space: proposals, their history, and the session that trains them."""

from optimizers.proposing.admission import Admission
from optimizers.proposing.around import Around
from optimizers.proposing.history import History, told
from optimizers.proposing.proposal import Proposal, Refused, Told
from optimizers.proposing.proposer import Proposer, check_count
from optimizers.proposing.session import PATIENCE, Proposing
from optimizers.proposing.source import Source
from optimizers.proposing.start import Start, best, points

__all__ = [
    "PATIENCE",
    "Admission",
    "Around",
    "History",
    "Proposal",
    "Proposer",
    "Proposing",
    "Refused",
    "Source",
    "Start",
    "Told",
    "best",
    "check_count",
    "points",
    "told",
]
