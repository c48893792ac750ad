"""Code that is not jmer's: where it lies, and which installed packages bring it."""
