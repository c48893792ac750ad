"""jmer from Python: what the command line does, for notebooks and scripts."""
