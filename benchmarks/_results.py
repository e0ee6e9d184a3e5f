"""Where benchmark figures are kept: one JSON file per claim, with machine, versions and exact command."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hakisa_algos.training.run_folder import system_info

RESULTS = Path(__file__).parent / "results"


def command() -> str:
    """The command line that is being run."""
    script = Path(sys.argv[0]).name
    # Where a folder lay on this machine is nobody's business.
    arguments = [f"runs/{Path(a).name}" if Path(a).is_absolute() else a for a in sys.argv[1:]]
    return shlex.join(["python", f"benchmarks/{script}", *arguments])


def save(name: str, figures: Mapping[str, Any]) -> Path:
    """Writes ``results/<name>.json`` and returns its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    record = {
        "command": command(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "system": system_info(),
        **figures,
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path
