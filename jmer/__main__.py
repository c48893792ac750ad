"""`python -m jmer`, which is the command `jmer`."""

import sys
from pathlib import Path

# Python adds the folder of work, where a stranger's files may lie. As in `jmer`,
# nothing is imported from there; but from a checkout, jmer itself is.
here = Path.cwd().resolve()
added = bool(sys.path) and Path(sys.path[0] or ".").resolve() == here
if added and not Path(__file__).resolve().is_relative_to(here):
    del sys.path[0]

from jmer.cli import main  # noqa: E402

sys.exit(main())
