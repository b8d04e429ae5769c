"""The same as `genlab board`: python scripts/board.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["board", *sys.argv[1:]])
