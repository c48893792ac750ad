"""Synthetic faces as the owners of real data sets distribute theirs.

One file a data set; `write.synthesize` writes it. Knows the form on disk and nothing
of what reads it.
"""

from jmer.synthetic.layouts.casme import CasmeLayout
from jmer.synthetic.layouts.casme2 import Casme2Layout
from jmer.synthetic.layouts.casme_cubed import CasmeCubedLayout
from jmer.synthetic.layouts.casme_cubed_c import CasmeCubedCLayout
from jmer.synthetic.layouts.casme_squared import CasmeSquaredLayout
from jmer.synthetic.layouts.dfme import DfmeLayout
from jmer.synthetic.layouts.disk_layout import DiskLayout
from jmer.synthetic.layouts.fer2013 import Fer2013Layout
from jmer.synthetic.layouts.fourdme import FourdmeLayout
from jmer.synthetic.layouts.megc2019 import Megc2019Layout
from jmer.synthetic.layouts.mmew import MmewLayout
from jmer.synthetic.layouts.samm import SammLayout
from jmer.synthetic.layouts.samm_long import SammLongLayout
from jmer.synthetic.layouts.smic import SmicLayout
from jmer.synthetic.layouts.smic_long import SmicLongLayout

ALL = (
    *(
        CasmeLayout,
        Casme2Layout,
        CasmeSquaredLayout,
        CasmeCubedLayout,
        CasmeCubedCLayout,
        DfmeLayout,
        Fer2013Layout,
        FourdmeLayout,
        Megc2019Layout,
        MmewLayout,
    ),
    *(SammLayout, SammLongLayout, SmicLayout, SmicLongLayout),
)
LAYOUTS: dict[str, type[DiskLayout]] = {layout.name: layout for layout in ALL}
