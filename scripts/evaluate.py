"""The same as `genlab evaluate`: python scripts/evaluate.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
