"""The networks in plain PyTorch, written from the papers: for parity and benchmarks.

Nothing but these files imports torch; each has the name of its network, and a function
`build(config, classes, tuned=...)`. What networks share is in `residual`.
"""
