"""One data set a folder: its configuration, and its TFDS builder."""
