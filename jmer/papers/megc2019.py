"""Baselines of the composite of MEGC 2019 (See et al. 2019).

Figures of LBP-TOP are those of the challenge, of Bi-WOOF and STSTNet those of Liong et
al. 2019, "Shallow triple stream three-dimensional CNN (STSTNet) for micro-expression
recognition", table II, which has LBP-TOP's, too.
"""

from typing import Any

from jmer.papers.table import LOSO, PaperRow, PaperTable

COMPOSITE = "MEGC 2019"
MACHINES: dict[str, Any] = {
    **{"optim.kind": "SvmConfig", "model.kernel": "linear", "selection": "last"},
    **LOSO,
}
"""Linear ones; what an error costs is not known here."""


def _row(
    name: str, uf1: float, uar: float, network: str = "", **stated: Any
) -> PaperRow:
    figures = {"uf1": uf1, "uar": uar}
    if not network:
        return PaperRow(name, figures, COMPOSITE)
    row = {"model.name": network, "data.name": "megc2019"}
    return PaperRow(name, figures, COMPOSITE, row, {**MACHINES, **stated})


LBP_TOP: dict[str, Any] = {
    **{"model.radii": (1, 1, 4), "model.points": 4, "model.blocks": 5},
    **{"model.frames": 10, "data.resample": "tim"},
}

MEGC2019 = (
    PaperTable(
        name="megc2019-1",
        title="MEGC 2019: the composite, and the challenge's baseline",
        paper="MEGC 2019, the second facial micro-expressions grand challenge",
        protocol="leave-one-subject-out, 68 subjects of three data sets",
        independent=True,
        pooling="pooled",
        files=("baselines/lbp_top_megc2019", "baselines/bi_woof_megc2019"),
        data={COMPOSITE: {"data.name": "megc2019"}},
        rows=(
            _row("LBP-TOP", 58.82, 57.85, "lbptop", **LBP_TOP),
            _row("Bi-WOOF", 62.96, 62.27, "biwoof", **{"model.bins": 8}),
            _row("STSTNet", 73.53, 76.05),
        ),
        note=(
            "Which machines the challenge had, and whether of the 16 patterns of four "
            "neighbours those that are not uniform share a bin, is not known here."
        ),
    ),
)
