"""`python -m server_stub` is `stepup-server`."""

import sys

from server_stub.cli import main

sys.exit(main())
