"""The same as `genlab sample`: python scripts/sample.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["sample", *sys.argv[1:]])
