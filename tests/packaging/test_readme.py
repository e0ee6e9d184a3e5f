"""What the README and the pages of docs/ point at is there, and nothing in them waits to be filled in."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_local_link_and_picture_exists_and_no_placeholder_is_left(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert len(links) > 10 or page.parent.name == "docs"
    assert [link for link in links if not (page.parent / link).exists()] == []
    assert not re.search(r"\b(FIGURES?|PONG|TODO|TBD)\b", text)
