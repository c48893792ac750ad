"""HSTA in plain PyTorch, written from Hao et al. 2024; entries named as its code's."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SPECIAL, VIDEO = "0", "1"  # branches


class _Config(Protocol):
    """What it needs of an `HstaConfig`."""

    @property
    def layers(self) -> int: ...

    @property
    def lv(self) -> int: ...

    @property
    def ls(self) -> int: ...

    @property
    def heads(self) -> int: ...

    @property
    def mlp_ratio(self) -> int: ...

    @property
    def usta_mlp(self) -> bool: ...

    @property
    def csta(self) -> bool: ...

    @property
    def dropout(self) -> float: ...

    @property
    def drop_path(self) -> float: ...

    @property
    def num_frames(self) -> int: ...

    @property
    def drop_path_rates(self) -> str: ...

    @property
    def special_side(self) -> int: ...

    @property
    def kept(self) -> tuple[str, ...]: ...

    def dim(self, stream: str) -> int: ...

    def window(self, stream: str) -> tuple[int, int, int]: ...


def attend(
    query: Tensor, key: Tensor, value: Tensor, *, heads: int, fused: bool
) -> Tensor:
    """Multi-head attention of [b, t, d] over [b, s, d]."""
    q, k, v = (
        x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value)
    )
    if fused:
        seen = F.scaled_dot_product_attention(q, k, v)
    else:
        score = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        seen = score.softmax(-1) @ v
    return seen.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """One matrix for queries, keys and values; the keys have no bias."""

    def __init__(self, dim: int, *, heads: int, dropout: float, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        seen = attend(
            q + self.q_bias, k, v + self.v_bias, heads=self.heads, fused=self.fused
        )
        return self.drop(self.proj(seen))


class CrossAttention(nn.Module):
    """The first token over all."""

    def __init__(self, dim: int, *, heads: int, dropout: float, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.wq, self.wk, self.wv = (nn.Linear(dim, dim) for _ in range(3))
        self.proj = nn.Linear(dim, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        seen = attend(
            self.wq(x[:, :1]),
            self.wk(x),
            self.wv(x),
            heads=self.heads,
            fused=self.fused,
        )
        return self.drop(self.proj(seen))


class Perceptron(nn.Module):
    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(F.gelu(self.fc1(x)))))


class UstaUnit(nn.Module):
    """USTA: attention, then a perceptron if there is one, each left out at `rate`."""

    def __init__(self, config: _Config, dim: int, rate: float, fused: bool) -> None:
        super().__init__()
        self.rate = rate
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = SelfAttention(
            dim, heads=config.heads, dropout=config.dropout, fused=fused
        )
        if config.usta_mlp:
            self.norm2 = nn.LayerNorm(dim, eps=1e-6)
            self.mlp = Perceptron(dim, config.mlp_ratio * dim, config.dropout)

    def branch(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = torch.empty(len(x), 1, 1, device=x.device).bernoulli_(1 - self.rate)
        return x * kept / (1 - self.rate)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.branch(self.attn(self.norm1(x)))
        return x + self.branch(self.mlp(self.norm2(x))) if hasattr(self, "mlp") else x


class Fusion(nn.Module):
    def __init__(self, dim: int, config: _Config, fused: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = CrossAttention(
            dim, heads=config.heads, dropout=config.dropout, fused=fused
        )

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] + self.attn(self.norm1(x))


def passage(inputs: int, outputs: int) -> nn.Sequential:
    """From one stream's width to the other's."""
    return nn.Sequential(
        nn.LayerNorm(inputs, eps=1e-6), nn.GELU(), nn.Linear(inputs, outputs)
    )


def depth_rates(config: _Config, alone: bool) -> list[dict[str, list[float]]]:
    """Rates of stochastic depth of each layer, by branch and unit.

    The authors' list has a rate for each video unit; a layer is dealt as many as its
    longer branch has units, and where the first branch finds too few, the second finds
    none.
    """
    special, video = config.ls, config.lv
    each = video if config.drop_path_rates == "video" else max(special, video)
    every = config.drop_path_rates == "by-unit" or (
        alone and config.drop_path_rates == "authors"
    )
    steps = config.layers * (max(special, video) if every else video)
    left = [config.drop_path * i / max(steps - 1, 1) for i in range(steps)]
    dealt = []
    for _ in range(config.layers):
        own, left = left[:each], left[each:]
        rates = {SPECIAL: [own[i] if i < len(own) else 0.0 for i in range(special)]}
        if config.drop_path_rates == "authors" and special > len(own):
            own = []
        rates[VIDEO] = [own[i] if i < len(own) else 0.0 for i in range(video)]
        dealt.append(rates)
    return dealt


class HstaLayer(nn.Module):
    """USTA units of each branch, then CSTA between the two."""

    def __init__(
        self, config: _Config, index: int, dims: dict[str, int], fused: bool
    ) -> None:
        super().__init__()
        rates = depth_rates(config, [*dims] == [SPECIAL])[index]
        self.blocks = nn.ModuleDict()
        for branch, dim in dims.items():
            made = [UstaUnit(config, dim, rate, fused) for rate in rates[branch]]
            self.blocks[branch] = nn.Sequential(*made)
        self.projs, self.fusion, self.revert_projs = (nn.ModuleDict() for _ in range(3))
        if config.csta:
            for branch, other in ((SPECIAL, VIDEO), (VIDEO, SPECIAL)):
                here, there = dims[branch], dims[other]
                self.projs[branch] = passage(here, there)
                self.fusion[branch] = Fusion(there, config, fused)
                self.revert_projs[branch] = passage(there, here)

    def forward(self, tokens: dict[str, Tensor]) -> dict[str, Tensor]:
        tokens = {branch: self.blocks[branch](x) for branch, x in tokens.items()}
        if not self.fusion:
            return tokens
        crossed = {}
        for branch, other in ((SPECIAL, VIDEO), (VIDEO, SPECIAL)):
            guest = self.projs[branch](tokens[branch][:, :1])
            met = self.fusion[branch](torch.cat([guest, tokens[other][:, 1:]], dim=1))
            token = self.revert_projs[branch](met)
            crossed[branch] = torch.cat([token, tokens[branch][:, 1:]], dim=1)
        return crossed


class Patches(nn.Module):
    def __init__(self, dim: int, window: tuple[int, int, int]) -> None:
        super().__init__()
        self.proj = nn.Conv3d(3, dim, window, stride=window)

    def forward(self, frames: Tensor) -> Tensor:
        return self.proj(frames).flatten(2).transpose(1, 2)


def spread(clip: Tensor, n: int) -> Tensor:
    """`n` frames of [3, t, h, w] that are evenly spread over those that are not the
    same as the one before them."""
    own = [i for i in range(clip.shape[1]) if not i or _differ(clip[:, i - 1 : i + 1])]
    if len(own) < n:
        before = (n - len(own)) // 2
        own = [own[0]] * before + own + [own[-1]] * (n - len(own) - before)
    return clip[:, [own[(2 * i + 1) * len(own) // (2 * n)] for i in range(n)]]


def _differ(two: Tensor) -> bool:
    return not torch.equal(two[:, 0], two[:, 1])


def position_table(tokens: int, dim: int) -> Tensor:
    """Vaswani et al. 2017, section 3.5: sine and cosine in turn."""
    table = torch.zeros(tokens, dim, dtype=torch.float64)
    for j in range(dim):
        angle = torch.arange(tokens, dtype=torch.float64) / 10000 ** ((j - j % 2) / dim)
        table[:, j] = angle.cos() if j % 2 else angle.sin()
    return table.float()


class HSTA(nn.Module):
    """Takes RGB frames from 0 to 255: a clip [b, 3, t, h, w], then special ones."""

    def __init__(self, config: _Config, classes: int, *, fused: bool = False) -> None:
        super().__init__()
        self.side, self.num_frames = config.special_side, config.num_frames
        kept = {"special": SPECIAL, "video": VIDEO}
        dims = {kept[name]: config.dim(name) for name in config.kept}
        self.patch_embed = nn.ModuleDict(
            {kept[n]: Patches(config.dim(n), config.window(n)) for n in config.kept}
        )
        self.cls_token = nn.ParameterDict(
            {branch: torch.randn(1, 1, dim) * 0.02 for branch, dim in dims.items()}
        )
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            HstaLayer(config, i, dims, fused) for i in range(config.layers)
        )
        self.norm = nn.ModuleDict(
            {branch: nn.LayerNorm(dim, eps=1e-6) for branch, dim in dims.items()}
        )
        self.head = nn.Linear(sum(dims.values()), classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def frames(self, pixels: Tensor, side: int) -> Tensor:
        mean = pixels.new_tensor([0.485, 0.456, 0.406], dtype=torch.float32)
        deviation = pixels.new_tensor([0.229, 0.224, 0.225], dtype=torch.float32)
        shape = (3, 1, 1, 1)
        x = (pixels.float() / 255 - mean.view(shape)) / deviation.view(shape)
        if x.shape[-1] == side:
            return x
        b, _, t = x.shape[:3]
        images = x.transpose(1, 2).flatten(0, 1)
        # Antialiasing acts where the frames become smaller.
        images = F.interpolate(images, (side, side), mode="bilinear", antialias=True)
        return images.unflatten(0, (b, t)).transpose(1, 2)

    def embed(self, branch: str, frames: Tensor) -> Tensor:
        patches = self.patch_embed[branch](frames)
        token = self.cls_token[branch].expand(len(patches), -1, -1)
        x = torch.cat([token, patches], dim=1)
        return self.drop(x + position_table(*x.shape[1:]).to(x))

    def forward(self, clip: Tensor, special: Tensor) -> Tensor:
        shown = {SPECIAL: self.frames(special, self.side)}
        if clip.shape[2] != self.num_frames:
            clip = torch.stack([spread(one, self.num_frames) for one in clip])
        shown[VIDEO] = self.frames(clip, clip.shape[-1])
        tokens = {branch: self.embed(branch, shown[branch]) for branch in self.norm}
        for layer in self.blocks:
            tokens = layer(tokens)
        of_class = [norm(tokens[branch][:, 0]) for branch, norm in self.norm.items()]
        return self.head(torch.cat(of_class, dim=1))


def build(config: _Config, classes: int, *, tuned: bool) -> nn.Module:
    """The twin of an `HstaConfig`; `tuned` has PyTorch's fused attention."""
    return HSTA(config, classes, fused=tuned)
