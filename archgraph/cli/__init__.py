"""The command line: ``archgraph search``, ``show``, ``export``, ``list``."""
