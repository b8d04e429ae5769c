"""The same as `genlab train`: python scripts/train.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
