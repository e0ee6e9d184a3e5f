"""Tests that run on Windows and macOS too: nothing here needs an X server, or a person."""

import sys

# On Linux the tests of live games, which have an X server, try all of this.
collect_ignore = ["test_native.py"] if sys.platform.startswith("linux") else []
