"""FlowNet 2.0: optical flow by a stack of networks. Ilg et al. 2017.

It prepares data: its weights are published, and nothing here trains it.
"""
