"""Synthetic faces as the owners of real data sets distribute theirs.

One file a data set; `write.synthesize` writes it. Knows the form on disk and nothing
of what reads it.
"""

from jmer.synthetic.layouts.base import Layout
from jmer.synthetic.layouts.casme import Casme
from jmer.synthetic.layouts.casme2 import Casme2
from jmer.synthetic.layouts.casme_cubed import CasmeCubed
from jmer.synthetic.layouts.casme_cubed_c import CasmeCubedC
from jmer.synthetic.layouts.casme_squared import CasmeSquared
from jmer.synthetic.layouts.dfme import Dfme
from jmer.synthetic.layouts.fourdme import Fourdme
from jmer.synthetic.layouts.megc2019 import Megc2019
from jmer.synthetic.layouts.mmew import Mmew
from jmer.synthetic.layouts.samm import Samm
from jmer.synthetic.layouts.samm_long import SammLong
from jmer.synthetic.layouts.smic import Smic
from jmer.synthetic.layouts.smic_long import SmicLong

ALL = (
    *(
        Casme,
        Casme2,
        CasmeSquared,
        CasmeCubed,
        CasmeCubedC,
        Dfme,
        Fourdme,
        Megc2019,
        Mmew,
    ),
    *(Samm, SammLong, Smic, SmicLong),
)
LAYOUTS: dict[str, type[Layout]] = {layout.name: layout for layout in ALL}
