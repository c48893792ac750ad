"""The composite of MEGC 2019: three data sets in one folder."""

import dataclasses
from pathlib import Path

from jmer.synthetic.layouts.casme2 import Casme2Layout
from jmer.synthetic.layouts.disk_layout import DiskLayout, FrameLayout
from jmer.synthetic.layouts.draft import Draft
from jmer.synthetic.layouts.samm import SammLayout
from jmer.synthetic.layouts.smic import SmicLayout
from jmer.synthetic.spec import SyntheticSpec


class Megc2019Layout(DiskLayout):
    """MEGC 2019: CASME II, SAMM and SMIC HS, each as large as asked for."""

    name = "megc2019"

    @property
    def parts(self) -> tuple[FrameLayout, ...]:
        return (
            Casme2Layout(self.quirks),
            SammLayout(self.quirks),
            SmicLayout(self.quirks, parts=("HS",)),
        )

    def write(self, root: Path, spec: SyntheticSpec) -> Draft:
        for part in self.parts:
            part.refuse(spec)
        whole = Draft([])
        for i, part in enumerate(self.parts):
            own = dataclasses.replace(spec, seed=spec.seed + i)
            folder = part.name.upper()
            made = part.write(root / folder, own)
            for take in made.takes:
                for images in take.images.values():
                    images.pattern = f"{folder}/{images.pattern}"
            for book in made.books:
                book.path = f"{folder}/{book.path}"
            whole.takes += made.takes
            whole.books += made.books
            whole.quirks += [f"{part.name}: {quirk}" for quirk in made.quirks]
        if self.quirks:
            whole.options = ("--missing-frames", "neighbour")
        return whole
