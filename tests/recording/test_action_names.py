"""What actions are called, in figures, on the page of a recording, and in the tables of a clone; none look alike."""

import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos.data.files import read_document, write_document
from hakisa_algos.learners.cloning import CloningConfig
from hakisa_algos.stages.action_names import ActionNames, action_meanings, named_by
from hakisa_algos.stages.recording import FACTS, FORMAT, VERSION, Recording
from hakisa_algos.stages.recording_writer import RecordingWriter
from hakisa_algos.stages.review import Statistics
from hakisa_algos.stages.review_page import write_page
from hakisa_algos.stages.study import Studies, Study
from hakisa_algos.training.report import write_report
from hakisa_algos.training.run_folder import RunFolder
from hakisa_envs.recording.inverse import Rules
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.profile import load_profile

SEEN = spaces.Box(0, 1, (2,), np.float32)


def recorded(folder, space, actions, learned=None, **facts):
    """Episodes with these actions."""
    writer = RecordingWriter(folder, SEEN, space, None)
    writer.describe({"name": "made up", "env": "Made-v0", "env_options": {}, "rate": 10.0, "idle": None} | facts)
    t = 0
    for episode in actions:
        for i, action in enumerate(episode):
            values = {"terminated": i == len(episode) - 1, "t_ns": t, "learned": learned is None or learned[i]}
            seen = np.full(2, t % 7, np.float32)
            writer.add(seen, np.asarray(action), values, start=i == 0, following=seen)
            t += 100_000_000
        writer.end(seen, {"t_ns": t})
    writer.close()
    return Recording.open(folder)


def page_of(recording):
    path = recording.path / "page.html"
    write_page(recording, path, Statistics.of(recording))
    return path.read_text()


def bars(page):
    """Of each bar of the tracks its words and colour."""
    return re.findall(r"height='10' fill='(#\w+)'><title>(.*?)</title>", page)


def legend(page):
    return dict(re.findall(r"<i style='background:(#\w+)'></i> (.*?)</span>", page))


def live(game):
    """The space of a live game's actions, and what its recordings say of them."""
    profile = load_profile(game)
    env = ScreenGameEnv(profile)
    rules = Rules.of(profile, 10.0, (0, 0, 100, 100))
    return (
        env.action_space,
        named_by(env),
        {name: getattr(rules, name) for name in ("commands", "keys", "steps", "grid")},
    )


@pytest.mark.parametrize("old", [False, True])
def test_keys_of_one_command_are_told_apart(tmp_path, old):
    space, names, rules = live("lbreakout2")
    facts = {"commands": names["commands"], "rules": rules} if old else names
    recording = recorded(tmp_path / "r", space, [[(1, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 0), (0, 0, 0)]], **facts)
    assert Statistics.of(recording).commands == {"hold_only Left": 2, "hold_only Right": 2, "release_all": 1}
    found = bars(page_of(recording))
    assert [words for _, words in found] == ["hold_only Left", "hold_only Right", "release_all"]
    assert len({colour for colour, _ in found}) == 3
    assert legend(page_of(recording)) == dict(found)
    assert ActionNames.of(recording).heads() == {
        "command": ["release_all", "hold_only"],
        "argument_1": ["Left", "Right"],
        "argument_2": ["0"],
    }


def test_places_are_shown_where_they_were(tmp_path):
    space, names, _ = live("xdemineur")
    recording = recorded(tmp_path / "r", space, [[(0, 3, 9), (0, 3, 9), (1, 11, 0)], [(0, 4, 9)]], **names)
    statistics = Statistics.of(recording)
    assert statistics.commands == {"left_click": 3, "right_click": 1}
    assert statistics.places == {"left_click": {"3, 9": 2, "4, 9": 1}, "right_click": {"11, 0": 1}}
    assert "left_click: at 2 places, most often at 3, 9 (2 times)" in statistics.lines()
    page = page_of(recording)
    assert [words for _, words in bars(page)] == ["left_click at 3, 9", "right_click at 11, 0", "left_click at 4, 9"]
    assert page.count("places, argument 1: 0 above, 11 below") == page.count("places, argument 2") == 2
    first = re.findall(r"x='(\d+)' width='(\d+)' y='([\d.]+)' height='0.833'", page)
    assert first[:4] == [("0", "2", "2.5"), ("2", "1", "9.17"), ("0", "2", "7.5"), ("2", "1", "0")]


def test_a_part_of_places_that_has_one_choice_has_no_strip(tmp_path):
    space, names, _ = live("circuslinux")
    page = page_of(recorded(tmp_path / "r", space, [[(0, 0, 0), (1, 31, 0)]], **names))
    assert [words for _, words in bars(page)] == ["noop", "move at 31, 0"]
    assert "argument 1: 0 above, 31 below" in page
    assert "argument 2" not in page


def test_the_names_of_an_env_are_kept_and_its_commonest_actions_told_apart(tmp_path):
    names = [f"combo <{i}>" for i in range(63)]
    often = [i for i in range(40) for _ in range(40 - i)]
    recording = recorded(tmp_path / "r", spaces.Discrete(63, start=1), [np.array(often) + 1], meanings=names)
    assert next(iter(Statistics.of(recording).commands.items())) == ("combo <0>", 40)
    assert "combo <11> 29, 28 others 406" in Statistics.of(recording).lines()[4]
    page = page_of(recording)
    colours = legend(page)
    assert list(colours.values()) == [*(f"combo &lt;{i}&gt;" for i in range(8)), "other (32 kinds)"]
    assert len(bars(page)) == 40
    assert {colours[colour] for colour, words in bars(page)[8:]} == {"other (32 kinds)"}
    assert bars(page)[39][1] == "combo &lt;39&gt;"


def test_buttons_that_are_down_at_once_are_one_action(tmp_path):
    actions = [[(1, 0, 1), (0, 0, 0), (1, 0, 0)]]
    recording = recorded(tmp_path / "r", spaces.MultiBinary(3), actions, meanings=["UP", "A", "B"])
    assert Statistics.of(recording).commands == {"none": 1, "UP": 1, "UP+B": 1}
    assert ActionNames.of(recording).heads()["action_2"] == ["B up", "B down"]
    plain = recorded(tmp_path / "plain", spaces.MultiDiscrete([3, 2]), [[(2, 1), (0, 0)]])
    assert Statistics.of(plain).commands == {"0, 0": 1, "2, 1": 1}


def test_a_recording_without_names_has_numbers(tmp_path):
    recording = recorded(tmp_path / "r", spaces.Discrete(3), [[2, 2, 0]], commands=[])
    assert Statistics.of(recording).commands == {"2": 2, "0": 1}
    document = read_document(recording.path / FACTS, FORMAT, VERSION, "")
    for strange in ("abc", [["x"]], {"a": 1}, 7, None):
        write_document(recording.path / FACTS, FORMAT, VERSION, document | {"meanings": strange, "arguments": strange})
        assert sum(Statistics.of(Recording.open(recording.path)).commands.values()) == 3


def test_rows_of_which_nothing_is_known_are_blank(tmp_path):
    recording = recorded(tmp_path / "r", spaces.Discrete(3), [[1, 2, 1]], learned=[True, False, True])
    assert re.findall(r"x='(\d)' width='1' y='0' height='10'", page_of(recording)) == ["0", "2"]


def test_an_env_says_what_its_actions_are_called():
    pytest.importorskip("stable_retro")

    def names(**options):
        env = gym.make("Hakisa/Fighter-v0", disable_env_checker=True, **options)
        try:
            return action_meanings(env)
        finally:
            env.close()

    assert len(names()) == 63
    assert names(actions="buttons")[:5] == ["UP", "DOWN", "LEFT", "RIGHT", "X"]
    assert names(actions="heads") == []


def test_a_clones_report_shows_how_it_agrees_by_names(tmp_path):
    rng = np.random.default_rng(0)
    space, names, _ = live("lbreakout2")
    episodes = [[(int(rng.integers(2)), int(rng.integers(2)), 0) for _ in range(30)] for _ in range(6)]
    recording = recorded(tmp_path / "r", space, episodes, **names)
    config = CloningConfig(total_steps=30, update_steps=10, batch_size=16, idle_run=0)
    studies = Studies(Study((str(recording.path),), "ppo", config, {"hidden_sizes": (8,), "num_envs": 1}))
    studies.run(tmp_path / "run")
    page = write_report(RunFolder.open(tmp_path / "run")).read_text()
    assert page.count("gradient steps</text>") == 2
    report = studies.learner.best_report
    for head in ("command", "argument_1"):
        top = report["metrics"][f"held_out/{head}_top1"]
        assert f"<tr><td>{head}</td><td>{top:.1%}</td>" in page
    for head, words in (("command", ("release_all", "hold_only")), ("argument_1", ("Left", "Right"))):
        counts = report["confusion"][head]
        table = page.split(f"<h3>{head}:")[1].split("</table>")[0]
        said = {
            word: [int(n) for n in re.findall(r"<td[^>]*>(\d+)</td>", row)]
            for word, row in re.findall(r"<tr><th>(\w+)</th>((?:<td.*?</td>)+)</tr>", table)
        }
        assert said == {
            word: [*row, sum(row)] for word, row in zip(words, counts, strict=True) if sum(row) or word in said
        }
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_a_confusion_of_many_choices_names_the_commonest_and_joins_the_rest(tmp_path):
    space = spaces.Discrete(63)
    episodes = [[i for i in range(40) for _ in range(1 + (i < 3))]] * 4
    recording = recorded(tmp_path / "r", space, episodes, meanings=[f"combo {i}" for i in range(63)])
    config = CloningConfig(total_steps=2, update_steps=2, batch_size=16, idle_run=0)
    study = Study((str(recording.path),), "dqn", config, {"hidden_sizes": (8,), "num_envs": 1})
    Studies(study).run(tmp_path / "run")
    page = write_report(RunFolder.open(tmp_path / "run")).read_text()
    table = page.split("<h3>action:")[1].split("</table>")[0]
    heads = re.findall(r"<th>(.*?)</th>", table.split("</thead>")[0])
    assert {"combo 0", "combo 1", "combo 2"} <= set(heads)
    assert re.fullmatch(r"\d+ others", heads[-2])
    assert table.count("<tr>") == 1 + 16 + 1
    total = sum(int(n) for n in re.findall(r"<td>(\d+)</td></tr>", table))
    assert total == sum(
        sum(row)
        for row in read_document(tmp_path / "run" / "agreement.json", "hakisa-agreement", 1, "")["confusion"]["action"]
    )
