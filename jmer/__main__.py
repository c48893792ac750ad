"""`python -m jmer`."""

import sys

from jmer.cli import main

sys.exit(main())
