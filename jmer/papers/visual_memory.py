"""Tables of visual memory, "time-contrasted feature" (Nag et al. 2019)."""

from typing import Any

from jmer.papers.table import (
    TRAINED,
    Given,
    OneOf,
    PaperRow,
    PaperTable,
    Where,
    others,
)

DATA = {"CASME II": {"data.name": "casme2", "data.classes": "5class"}}
OURS = {
    "model.contrast": True,
    "model.temporal_net": True,
    "model.memory": "gru",
}
STATED = {  # sections 2 and 3; what TensorFlow's RMSProp does by itself
    **{"data.modality": "video", "data.size": 64, "data.source": "raw"},
    # A sequence is of frames as they were recorded, 200 a second.
    **{"data.resample": "native", "data.stride": 1, "data.stride_ms": 0.0},
    **{"model.phase": "memory", "model.steps": 14, "model.steps_count": "alike"},
    **{"model.size": 64, "model.width": 64, "model.hidden": 256},
    **{"model.intensity": True, "model.intensity_loss": "absolute"},
    **{"model.augmented": True, "model.rotate": 10.0, "model.rescale": 0.1},
    **{"model.shift": 2.0, "model.fc6_dilation": 12},
    **{"optim.kind": "RmspropConfig", "optim.lr": 1e-4, "optim.weight_decay": 0.005},
    **{"optim.form": "tensorflow", "optim.smoothing": 0.9, "optim.epsilon": 1e-10},
    **{"batch_size": 1, "protocol.kind": OneOf(("Loso", "HoldOut", "ClipHoldOut"))},
    "protocol.fraction": Where(0.3),
    **{"start_from": Given("a run of the spatial phase")},
    **{"pretrained": Given("a network of motion"), **TRAINED},
}
DIVISIONS = (
    "The other division is visual_memory_casme2_70_30 by subject, and "
    "visual_memory_casme2_70_30_clips by clip."
)
ABOUT: dict[str, Any] = {
    "stated": STATED,
    "paper": "TCF, Nag et al. 2019",
    "protocol": "leave-one-out, elsewhere 70/30",
    "independent": False,
    "pooling": "unknown",
    "files": ("visual_memory_casme2",),
    "data": DATA,
    "switches": {"model.name": "visual_memory"},
}

VISUAL_MEMORY = (
    PaperTable(
        name="visual-memory-1",
        title="Visual memory, table 1: spotting",
        rows=(
            *others(("CASME II",), ("auc",), ("LBP", 92.98), ("HOOF", 64.99)),
            PaperRow("TCF", {"auc": 94.24}, "CASME II", OURS),
        ),
        note="Ours is there once `jmer spot RUN` has scored the run's frames. "
        + DIVISIONS,
        **ABOUT,
    ),
    PaperTable(
        name="visual-memory-2",
        title="Visual memory, table 2: recognition",
        rows=(
            *others(
                ("CASME II",),
                ("acc",),
                ("Baseline", 63.41),
                ("Kim", 60.98),
                ("Peng", 66.67),
                ("AdaptiveMM", 75.30),
                ("Park", 69.63),
            ),
            PaperRow("TCF", {"acc": 81.46}, "CASME II", OURS),
        ),
        note="The printed value is no share of 246, 247 or 74 clips. " + DIVISIONS,
        **ABOUT,
    ),
)
