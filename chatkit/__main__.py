"""`python -m chatkit`: the command line."""

import sys

from chatkit.cli import main

sys.exit(main())
