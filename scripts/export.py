"""The same as `genlab export`: python scripts/export.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["export", *sys.argv[1:]])
