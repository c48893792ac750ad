"""Tables of "Spatial-Temporal Attention Network for Micro-expression Recognition"."""

from jmer.papers.table import (
    LOSO,
    SCRATCH,
    TRAINED,
    OneOf,
    PaperRow,
    PaperTable,
    others,
)

PAPER = "STANet, Spatial-Temporal Attention Network for Micro-expression Recognition"
DATA = {
    "CASME": {"data.name": "casme", "data.classes": "4class"},
    "CASME II": {"data.name": "casme2", "data.classes": "5class"},
    "SMIC-HS": {"data.name": "smic", "data.classes": "3class", "data.part": "HS"},
}
FULL = {"model.sab": True, "model.lambda_l1": 1e-8, "model.tab": True}
PROTOCOL = "leave-one-subject-out"
STATED = {  # sections 4.1 and 4.2
    # A video is its frames beside the same flow.
    **{"data.modality": OneOf(("video", "flow")), "data.flow": "flownet2"},
    **{"data.size": 192, "data.frames": 20, "data.resample": "linear"},
    **{"model.frames": 19, "model.size": 192, "model.width": 64},
    **{"model.augmented": True},
    **{"optim.kind": "AdamConfig", "optim.lr": 1e-5, "optim.weight_decay": 1e-4},
    **{"sampling": "shuffled", **LOSO, **SCRATCH, **TRAINED},
}
CASME = {"model.rescales": (0.9, 1.0, 1.1), "model.flip": False}
STATED_FOR = {
    "CASME": {"epochs": 60, **CASME},
    "CASME II": {"epochs": 30, **CASME},
    "SMIC-HS": {"epochs": 100, "model.rescales": (1.0,), "model.flip": True},
}


def _ablation(name: str, acc: float, sab: bool, l1: float, tab: bool) -> PaperRow:
    switches = {"model.sab": sab, "model.lambda_l1": l1, "model.tab": tab}
    return PaperRow(name, {"acc": acc}, "CASME", switches)


STANET = (
    PaperTable(
        name="stanet-1",
        title="STANet, table 1: other methods",
        paper=PAPER,
        protocol=PROTOCOL,
        independent=True,
        pooling="pooled",
        files=("stanet_table1",),
        data=DATA,
        switches={"model.name": "stanet"},
        stated=STATED,
        stated_for=STATED_FOR,
        rows=(
            *others(
                tuple(DATA),
                ("acc",),
                ("CNN+LSTM", None, 60.98, None),
                ("HSTLBP-IP", None, 63.97, 60.37),
                ("DiSTLBP-RIP", 64.33, 64.78, 63.41),
                ("HIGO", None, 67.21, 68.29),
                ("FHOFO", None, None, 51.83),
                ("FDM", 56.14, 45.93, 54.88),
                ("MDMO", 56.29, 51.69, 58.97),
                ("SparseMDMO", 74.83, 66.95, 70.51),
            ),
            PaperRow("STANet", {"acc": 76.61}, "CASME", FULL),
            PaperRow("STANet", {"acc": 69.11}, "CASME II", FULL),
            PaperRow("STANet", {"acc": 68.90}, "SMIC-HS", FULL),
        ),
        note="The printed values are 131 of 171, 170 of 246 and 113 of 164 clips.",
    ),
    PaperTable(
        name="stanet-2",
        title="STANet, table 2: its parts",
        paper=PAPER,
        protocol=PROTOCOL,
        independent=True,
        pooling="pooled",
        files=("stanet_casme_ablation",),
        data={"CASME": DATA["CASME"]},
        switches={"model.name": "stanet"},
        stated=STATED,
        stated_for=STATED_FOR,
        rows=(
            _ablation("base", 71.35, False, 0.0, False),
            _ablation("+SAB", 73.10, True, 0.0, False),
            _ablation("+SAB+l1", 74.85, True, 1e-8, False),
            _ablation("+SAB+TAB+l1", 76.61, True, 1e-8, True),
        ),
        note="The printed values are 122, 125, 128 and 131 of 171 clips.",
    ),
)
