"""Tables of "Spatial-Temporal Attention Network for Micro-expression Recognition"."""

from jmer.papers.table import PaperRow, PaperTable, others

PAPER = "STANet, Spatial-Temporal Attention Network for Micro-expression Recognition"
DATA = {
    "CASME": {"data.name": "casme", "data.classes": "4class"},
    "CASME II": {"data.name": "casme2", "data.classes": "5class"},
    "SMIC-HS": {"data.name": "smic", "data.classes": "3class", "data.part": "HS"},
}
FULL = {"model.sab": True, "model.lambda_l1": 1e-8, "model.tab": True}
LOSO = "leave-one-subject-out"


def _ablation(name: str, acc: float, sab: bool, l1: float, tab: bool) -> PaperRow:
    switches = {"model.sab": sab, "model.lambda_l1": l1, "model.tab": tab}
    return PaperRow(name, {"acc": acc}, "CASME", switches)


STANET = (
    PaperTable(
        name="stanet-1",
        title="STANet, table 1: other methods",
        paper=PAPER,
        protocol=LOSO,
        independent=True,
        pooling="pooled",
        files=("stanet_table1",),
        data=DATA,
        switches={"model.name": "stanet"},
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
        protocol=LOSO,
        independent=True,
        pooling="pooled",
        files=("stanet_casme_ablation",),
        data={"CASME": DATA["CASME"]},
        switches={"model.name": "stanet"},
        rows=(
            _ablation("base", 71.35, False, 0.0, False),
            _ablation("+SAB", 73.10, True, 0.0, False),
            _ablation("+SAB+l1", 74.85, True, 1e-8, False),
            _ablation("+SAB+TAB+l1", 76.61, True, 1e-8, True),
        ),
        note="The printed values are 122, 125, 128 and 131 of 171 clips.",
    ),
)
