"""`python -m assay_verify`."""

import sys

from assay_verify.cli import main

sys.exit(main())
