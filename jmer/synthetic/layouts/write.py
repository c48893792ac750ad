"""A synthetic set on disk in a chosen layout: all of it, or nothing."""

import dataclasses
import shutil
import tempfile
from pathlib import Path

from jmer.errors import UsageError
from jmer.files import VERSION, make_folder, write_json, writing
from jmer.synthetic.layouts import LAYOUTS
from jmer.synthetic.layouts.disk_layout import DiskLayout
from jmer.synthetic.layouts.draft import Draft
from jmer.synthetic.spec import SyntheticSpec
from jmer.text import did_you_mean

MANIFEST = "jmer-manifest.json"


def find_layout(name: str, *, quirks: bool = False) -> DiskLayout:
    """The layout of that name. Raises: UsageError if there is none."""
    if name not in LAYOUTS:
        known = ", ".join(sorted(LAYOUTS))
        raise UsageError(
            f"layout={name}: no such layout{did_you_mean(name, LAYOUTS)}; there are: "
            f"{known}."
        )
    return LAYOUTS[name](quirks)


def synthesize(layout: DiskLayout, spec: SyntheticSpec, out: Path) -> Draft:
    """Writes the clips of `spec` in a layout; `out` appears when all is written.

    `jmer-manifest.json` there says of each clip what a reader must make of it.

    Raises: UsageError if something is in `out` already, or the layout has no names for
    `spec`; JmerError if the place cannot be written.
    """
    out = out.absolute()
    refuse_occupied(out)
    make_folder(out.parent)
    with writing(out):
        # Beside the place itself, so that it can be renamed.
        remains = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            root = remains / "root"
            root.mkdir()
            draft = layout.write(root, spec)
            about = {
                "layout": layout.name,
                "quirky": layout.quirks,
                "spec": dataclasses.asdict(spec),
                "jmer": VERSION,
            }
            write_json(root / MANIFEST, {**about, **draft.manifest})
            if out.exists():
                out.rmdir()
            root.rename(out)
        finally:
            shutil.rmtree(remains, ignore_errors=True)
    return draft


def refuse_occupied(out: Path) -> None:
    """Raises: UsageError unless there is nothing at `out`, or an empty folder."""
    if out.is_dir():
        with writing(out):
            occupied = any(out.iterdir())
    else:
        occupied = out.exists() or out.is_symlink()
    if occupied:
        raise UsageError(
            f"out={out}: something is there already. Choose another folder, or remove "
            f"it."
        )
