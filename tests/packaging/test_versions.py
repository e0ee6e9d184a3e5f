"""What is written down twice agrees."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
REQUIREMENTS = sorted(
    {
        text
        for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for text in group
        if not text.startswith("hakisa[")
    }
)


@pytest.mark.parametrize("text", REQUIREMENTS)
def test_every_range_allows_the_version_that_is_tested(text):
    requirement = Requirement(text)
    assert requirement.name in PINS, f"{requirement.name} has no pin in constraints.txt"
    assert requirement.specifier.contains(PINS[requirement.name])


def test_the_citation_names_the_version():
    version = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert version is not None
    assert version[1] == PROJECT["version"]
