"""`python -m agents` is `gf-env`, for launchers that start modules."""

from __future__ import annotations

import sys

from agents.cli import main

if __name__ == "__main__":
    sys.exit(main())
