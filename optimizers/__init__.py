"""Drivers and weight optimizers: what searches. archgraph finds them by entry points, like anybody's plug-in."""
