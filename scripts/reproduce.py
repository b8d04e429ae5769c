"""The same as `genlab reproduce`: python scripts/reproduce.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["reproduce", *sys.argv[1:]])
