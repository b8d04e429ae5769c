"""The same as `genlab list`: python scripts/list.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["list", *sys.argv[1:]])
