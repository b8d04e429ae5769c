"""The same as `genlab prepare`: python scripts/prepare.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["prepare", *sys.argv[1:]])
