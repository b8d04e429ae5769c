"""The same as `genlab report`: python scripts/report.py OVERRIDES..."""

import sys

from genlab.cli import main

if __name__ == "__main__":
    main(["report", *sys.argv[1:]])
