"""Algorithms side by side, as `hakisa compare` does it, and the figures kept among the results.

Everything but --name is passed on: `python benchmarks/compare.py --name compare_quick --preset quick`. Started again
after a kill, it goes on where it was.
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
    """Compares, then stores a JSON file and the pictures of the curves."""
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
    for picture in sorted(out.glob("curves-*-steps.png")):
        shutil.copy(picture, path.with_name(f"{arguments.name}_{picture.name.removeprefix('curves-')}"))
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
