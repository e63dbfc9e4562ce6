"""`python -m dataops.cli` is `dataops`."""

from dataops.cli import main

main()
