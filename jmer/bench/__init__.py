"""`jmer bench`: folds in parallel, measured, beside the PyTorch loop.

Needs neither data nor TFDS: random clips have the sizes of the real folds.
"""
