"""Predictions, and every number that is made of them."""
