"""Learning one task after another without forgetting: versions of units, and networks assembled from them."""

from archgraph.continual.chapter import Chapter
from archgraph.continual.course import Course
from archgraph.continual.gains import Candidate, Gains, Unit
from archgraph.continual.homes import Address, Homes
from archgraph.continual.layout import Offer
from archgraph.continual.learn import learn, study_names
from archgraph.continual.library import Library
from archgraph.continual.offers import Offers, offers
from archgraph.continual.plan import Plan, Use
from archgraph.continual.rivals import fine_tune, joint
from archgraph.continual.taken import taken
from archgraph.continual.trimmed import trimmed
from archgraph.continual.trunk import fitting, head_resized
from archgraph.continual.twinned import Twinned, twin_slots, twinned
from archgraph.continual.widened import Widened, widened

__all__ = [
    "Address",
    "Candidate",
    "Chapter",
    "Course",
    "Gains",
    "Homes",
    "Library",
    "Offer",
    "Offers",
    "Plan",
    "Twinned",
    "Unit",
    "Use",
    "Widened",
    "fine_tune",
    "fitting",
    "head_resized",
    "joint",
    "learn",
    "offers",
    "study_names",
    "taken",
    "trimmed",
    "twin_slots",
    "twinned",
    "widened",
]
