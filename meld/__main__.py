"""`python -m meld` is `meldc`."""

import sys

from meld.cli import main

sys.exit(main())
