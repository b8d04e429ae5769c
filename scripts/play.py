"""The same as `genlab play`: python scripts/play.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["play", *sys.argv[1:]])
