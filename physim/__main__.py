"""`python -m physim` is the command line."""

from physim.cli import main

main()
