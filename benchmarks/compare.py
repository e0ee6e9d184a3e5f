"""Algorithms side by side, as `hakisa compare` does it, and the figures kept among the results.

Everything but --name is passed on: `python benchmarks/compare.py --name compare_quick --preset quick`, or, for the
README's table and picture, `--name compare_standard --preset standard`. Started again after a kill, it goes on where it
was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import _results

from hakisa_algos.cli import compare


def main() -> int:
    """Compares, then stores a JSON file, a picture of the curves and the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--name", default="compare_quick", help="of the result files")
    arguments, passed = parser.parse_known_args()
    out = Path("runs") / arguments.name
    status = compare.run([*passed, "--out", str(out)])
    if status != 0:
        return status
    settings, scores = (json.loads((out / name).read_text()) for name in ("comparison.json", "scores.json"))
    # The command that is stored is this script's.
    path = _results.save(arguments.name, {"protocol": settings["protocol"], **scores})
    shutil.copy(out / "curves.png", path.with_suffix(".png"))
    shutil.copy(out / "table.md", path.with_suffix(".md"))
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
