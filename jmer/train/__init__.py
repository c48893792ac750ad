"""Training: one task in `step.py`, many at once in `folds.py`."""
