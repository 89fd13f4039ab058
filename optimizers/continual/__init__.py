"""Learning one task after another without forgetting, by growth."""

from optimizers.continual.continual import Continual

__all__ = ["Continual"]
