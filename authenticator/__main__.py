"""`python -m authenticator` is `stepup-phone`."""

import sys

from authenticator.cli import main

if __name__ == "__main__":
    sys.exit(main())
