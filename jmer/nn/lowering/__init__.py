"""Programs for devices that the author of a network never sees."""
