"""The plug-in is imported by processes of its own, where it is installed."""

collect_ignore = ["archgraph_snake.py"]
