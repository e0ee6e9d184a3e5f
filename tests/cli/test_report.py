"""``hakisa report``: a run's page has what is known of it, and nothing that it would have to fetch."""

import re
from typing import ClassVar

import pytest

from hakisa_algos import PPO
from hakisa_algos.cli.main import main
from hakisa_algos.errors import RunFolderError
from hakisa_algos.training.report import write_report
from hakisa_algos.training.run_folder import RunFolder
from tests.training.test_exploits import CONFIG, Cashpoint


def test_the_page_of_a_run_tells_farms_milestones_assists_and_shows_the_map(tmp_path, capsys):
    class Helped(Cashpoint):
        metadata: ClassVar = {**Cashpoint.metadata, "assists": ("a <torch>",)}

    agent = PPO(Helped, CONFIG)
    agent.learn(run=tmp_path / "run")
    agent.close()
    assert main(["report", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run" / "report.html")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "reward &#x27;cash&#x27; is farmed at x 0, y 0 of map 4" in page
    assert "<td>third tile</td>" in page
    assert "a &lt;torch&gt;" in page
    assert page.count('<img alt="map 4" src="data:image/png;base64,') == 2
    assert page.count("<polyline") >= 2
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_a_run_that_says_nothing_of_places_and_one_that_has_just_begun_have_pages_too(tmp_path):
    agent = PPO("CartPole-v1", CONFIG)
    agent.learn(run=tmp_path / "run")
    agent.close()
    page = write_report(RunFolder.open(tmp_path / "run")).read_text(encoding="utf-8")
    assert "Curves" in page
    assert not any(word in page for word in ("<h2>Farms", "<h2>Map", "<h2>Assists"))
    (tmp_path / "run" / "metrics.jsonl").unlink()
    assert "0 env steps" in write_report(RunFolder.open(tmp_path / "run")).read_text(encoding="utf-8")


def test_a_folder_that_is_no_run_is_said(tmp_path):
    with pytest.raises(RunFolderError, match="not a run folder"):
        RunFolder.open(tmp_path)
    assert main(["report", str(tmp_path)]) == 2
