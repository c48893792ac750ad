"""Learned magnification of motion between two frames. Oh et al. 2018.

AMAN prepares its frames with it: the weights are published.
"""
