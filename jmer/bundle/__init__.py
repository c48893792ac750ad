"""A trained network in a folder that needs jmer, JAX and NumPy to be used, and no more.

What is imported here is the standard library, NumPy and JAX: no Flax, no Orbax.
"""
