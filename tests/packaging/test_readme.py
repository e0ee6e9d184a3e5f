"""What the README points at is there, and nothing in it waits to be filled in."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_local_link_and_picture_exists_and_no_placeholder_is_left():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert not re.search(r"\b(FIGURES?|PONG|TODO|TBD)\b", text)
