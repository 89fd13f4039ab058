"""The command line: ``search``, ``learn``, ``compare``, ``train``, ``show``, ``export``, ``reproduce`` and ``list``."""
