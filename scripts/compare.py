"""The same as `genlab compare`: python scripts/compare.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["compare", *sys.argv[1:]])
