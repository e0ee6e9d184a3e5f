"""Long benchmarks in parts, each of which is made once: what was done before a stop is not done again."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """What stands in the file, or what ``make`` gives, as JSON, which then stands there."""
    if not path.exists():
        text = json.dumps(make(), indent=1)
        half = path.with_suffix(".half")
        half.write_text(text + "\n", encoding="utf-8")
        half.rename(path)
    return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def home(given: str | None) -> Iterator[Path]:
    """The folder of the parts: one that stays, if it is named, else one that goes when all is done."""
    if given is not None:
        Path(given).mkdir(parents=True, exist_ok=True)
        yield Path(given).resolve()
        return
    folder = Path(tempfile.mkdtemp())
    yield folder
    shutil.rmtree(folder)
