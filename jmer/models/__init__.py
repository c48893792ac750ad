"""One published network a file: its module, its configuration, nothing of training."""
