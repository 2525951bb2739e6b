"""`python -m hgn_train`, which is what torchrun starts."""

from hgn_train.cli import main

main()
