"""One page over the stages: teacher, clone, consolidated, at play; what was measured is not measured again."""

import json
import re

import pytest

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos import Agent
from hakisa_algos.cli.main import main
from hakisa_algos.learners.advantage_weighted import AdvantageConfig
from hakisa_algos.learners.cloning import CloningConfig
from hakisa_algos.stages.consolidate import Consolidation, Consolidations
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.study import Studies, Study
from tests.helpers.pressed import press

SMALL = {"hidden_sizes": (16,), "num_envs": 2, "n_steps": 16, "minibatch_size": 16, "epochs": 1}


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stages")
    teacher = press(folder / "teacher", episodes=8, wrong=0.3)
    few = {"total_steps": 20, "update_steps": 10, "batch_size": 16, "idle_run": 0}
    Studies(Study((str(teacher.path),), "ppo", CloningConfig(**few), SMALL)).run(folder / "clone")
    config = AdvantageConfig(critic_steps=10, **few)
    Consolidations(Consolidation(str(folder / "clone"), (str(teacher.path),), config)).run(folder / "consolidated")
    agent = Agent.load(folder / "consolidated")
    agent.learn(96, run=folder / "played", evaluate_every=32, evaluate_episodes=2)
    agent.close()
    return folder


def test_stages_stand_side_by_side_and_are_measured_once(stages, tmp_path, capsys, monkeypatch):
    names = ["teacher", "clone", "consolidated", "played"]
    said = ["report", *(str(stages / name) for name in names), "--out", str(tmp_path / "out"), "--episodes", "4"]
    assert main([*said, "--film-steps", "10"]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    table = page[page.index("<h3>Return</h3>") :]
    found = re.findall(r"<b>(\w+)</b>", table[: table.index("</table>")])
    assert [name for name in found if name in names] == names
    for words in ("a person, ", "ppo, a clone", "ppo, consolidated", "ppo, at play"):
        assert words in page
    # Press is drawn, and what its player sees is no picture.
    assert page.count("data:video/mp4") == 3
    assert page.count("what was seen is no picture") == 1
    (chart,) = [each for each in json.loads(re.search(r'id="data">(.*?)</script>', page)[1]) if each["by"] == "step"]
    assert [line["name"] for line in chart["lines"]] == ["played"]
    assert chart["lines"][0]["x"] == [32, 64, 96]
    # What the teacher got stands in the recording.
    teacher = re.search(r"Mean return: teacher ([\d.]+)", page)[1]
    recording = Recording.open(stages / "teacher")
    assert float(teacher) == pytest.approx(recording.column("reward").sum() / 8, abs=0.06)  # as it is printed

    def never(*arguments, **options):
        raise AssertionError("it was measured already")

    with monkeypatch.context() as patched:
        patched.setattr(Agent, "evaluate", never)
        assert main([*said, "--film-steps", "10"]) == 0
        with pytest.raises(AssertionError, match="already"):
            main([*said, "--film-steps", "10", "--seed", "1"])


def test_what_cannot_be_compared_is_refused_by_name(stages, tmp_path, capsys):
    other = press(tmp_path / "other", env="Hakisa/Pong-v0")
    out = ["--out", str(tmp_path / "out"), "--episodes", "1", "--film-steps", "0"]
    assert main(["report", str(stages / "clone"), str(other.path), *out]) == 2
    assert f"{other.path} was recorded of Hakisa/Pong-v0" in capsys.readouterr().err
    assert main(["report", str(stages / "clone"), str(stages / "clone"), *out]) == 2
    assert "two of them are called 'clone'" in capsys.readouterr().err
    assert main(["report", *out]) == 2
    assert "name a run, or the stages" in capsys.readouterr().err
