"""HSTA, small."""

from jmer.models.hsta import HstaConfig

# 13 pixels leave some out at both sizes of patches. Compiling takes most of the time:
# a single layer, but where it is of layers.
TINY = HstaConfig(
    depth=(1, 1, 1),
    num_frames=4,
    size=13,
    patch_v=4,
    patch_s=6,
    dim_v=12,
    dim_s=6,
    heads=3,
    mlp_ratio=2,
    dropout=0.0,
    drop_path=0.0,
)
