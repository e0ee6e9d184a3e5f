"""``python -m hakisa_algos``, the same as ``hakisa``."""

from hakisa_algos.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
