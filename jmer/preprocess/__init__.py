"""From frames to what networks read: arrays in, arrays out, on the host."""
