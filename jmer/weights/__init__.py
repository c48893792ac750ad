"""File formats of weights, and names in them."""
