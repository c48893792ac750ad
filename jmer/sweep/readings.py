"""How each row of a paper's table was read: all fields of the experiment that makes it.

What a paper does not state is chosen somewhere, and a run that chooses otherwise is
another experiment than the one whose figure stands beside the paper's.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from jmer import shipped
from jmer.papers import PaperTable
from jmer.report.reproduction import Readings, fields_of, is_row
from jmer.sweep.cells import load_sweep

FREE = (
    *("engine.", "seeds", "variants", "eval_every", "dtype", "pretrained"),
    *("start_from", "protocol.split_seed", "data.table", "data.numbering"),
    *("data.bits", "data.landmarks", "data.flow_weights"),
)
"""Fields, or parts, that say where things lie, how a machine works, how often a figure
is made, or what a division leaves to chance."""
OF_INNER = "inner_"
"""What those begin with that choose an epoch, where one is chosen."""


def readings(table: PaperTable) -> Readings:
    """By row and data set, the values that each field has in the experiments that come
    with jmer for it."""
    made: dict[tuple[str, str], dict[str, list[Any]]] = {}
    for path in table.paths:
        for cell in load_sweep(shipped.find(path)).cells:
            recorded = cell.experiment.resolved()
            like: Any = SimpleNamespace(experiment={"experiment": recorded}, metrics={})
            for row in table.rows:
                if row.switches is None or not is_row(like, table.wanted(row)):
                    continue
                own = made.setdefault((row.name, row.data), {})
                for name, value in _chosen(like, recorded).items():
                    if value not in own.setdefault(name, []):
                        own[name].append(value)
    return made


def _chosen(like: Any, recorded: Mapping[str, Any]) -> dict[str, Any]:
    last = recorded.get("selection") == "last"
    return {
        name: value
        for name, value in fields_of(like).items()
        if not name.startswith(FREE) and not (last and name.startswith(OF_INNER))
    }
