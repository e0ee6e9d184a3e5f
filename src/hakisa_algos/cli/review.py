"""``hakisa review RECORDING``: what it holds, as figures and as one page; and what of it is to be learned from."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from hakisa_algos.cli.text import bold
from hakisa_algos.stages.recording import NAMES, Recording, privately
from hakisa_algos.stages.review import Statistics, parse_ranges
from hakisa_algos.stages.review_page import write_page

ABOUT = (
    "Show what a recording holds, write it as one HTML page, and say what is left out or held out. The rows stay as "
    "they are; marks lie beside them. EPISODE is a number from 0; FIRST:LAST are rows, as the page names them."
)


def run(arguments: Sequence[str]) -> int:
    """Reviews, from the command line."""
    parser = argparse.ArgumentParser("hakisa review", description=ABOUT, allow_abbrev=False)
    parser.add_argument("recording", metavar="RECORDING", type=Path, help="a folder that hakisa record made")
    for name, what in (("drop", "leave these out"), ("hold-out", "examine clones by these, never learn from them")):
        parser.add_argument(f"--{name}", nargs="+", default=[], metavar="EPISODE|FIRST:LAST", help=what)
    parser.add_argument("--keep-all", action="store_true", help="forget all marks that were made here")
    parser.add_argument("--page", type=Path, help="where the page goes; default: review.html in the recording")
    parser.add_argument("--no-page", action="store_true", help="write none")
    chosen = parser.parse_args(arguments)
    recording = Recording.open(chosen.recording)
    if chosen.drop or chosen.hold_out or chosen.keep_all:
        new = {"dropped": parse_ranges(chosen.drop, recording), "held_out": parse_ranges(chosen.hold_out, recording)}
        before = {} if chosen.keep_all else recording.marked
        with privately():
            recording.mark(**{name: [*before.get(name, ()), *new[name]] for name in NAMES})
    statistics = Statistics.of(recording)
    print(bold(f"{recording.facts['name']}: {chosen.recording}"))
    for line in statistics.lines():
        print(f"  {line}")
    if not chosen.no_page:
        page = chosen.page or chosen.recording / "review.html"
        with privately():
            write_page(recording, page, statistics)
        print(f"  written to {page}")
    return 0
