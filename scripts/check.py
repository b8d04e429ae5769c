"""The same as `genlab check`: python scripts/check.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["check", *sys.argv[1:]])
