"""Accelerators that are not here: their names, their compilers, and what those say.

XLA compiles for a TPU or a GPU on any machine that has the right package. What comes
back is the program that would run there; what it would take is read from its text, and
is the compiler's estimate, not a measurement.
"""
