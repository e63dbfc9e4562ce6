"""Run as `python -m dataops.local.aws TRAIL`: ministack, keeping the calls that functions make in the file TRAIL."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    from ministack import app as ministack

    from dataops.local.calls import Trail, trailed

    ministack.app = trailed(ministack.app, Trail(Path(sys.argv.pop(1))))
    ministack.main()
