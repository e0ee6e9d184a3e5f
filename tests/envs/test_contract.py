"""The contract of docs/contract.md, as far as this package reads and writes it."""

import ast
import importlib.util
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import check_env

import hakisa_envs
from hakisa_envs import contract
from hakisa_envs.atari import PongEnv, make_pong_vec
from hakisa_envs.press import PressEnv, PressVectorEnv
from hakisa_envs.screen.env import ScreenGameEnv, make_screen_vec
from hakisa_envs.vector import ProcessVectorEnv

ROOT = Path(__file__).parents[2]
WORDS = {
    name: value
    for name, value in vars(contract).items()
    if name.isupper() and isinstance(value, str) and name != "CONTRACT"
}


class Guest(gym.Env):
    """Somebody's env: says what it is told to say, in metadata and in every info, and has all methods."""

    observation_space = Box(-1, 1000, (1,), np.float32)
    action_space = Discrete(2)

    def __init__(self, follows=True, metadata=None, info=None):
        own = {contract.CONTRACT: contract.VERSION} if follows else {}
        self.metadata = {"render_modes": [], **own, **(metadata or {})}
        self.info, self.number, self.calls = info or {}, 0, []

    def reset(self, *, seed=None, options=None):
        self.number = 0
        return self._show(), dict(self.info)

    def step(self, action):
        self.number += 1
        return self._show(), 1.0, bool(action), False, dict(self.info)

    def pause(self):
        self.calls.append("pause")

    def resume(self):
        self.calls.append("resume")

    def get_state(self):
        return np.array([self.number])

    def set_state(self, state):
        self.number = int(state[0])

    def _show(self):
        return np.array([self.number], np.float32)


@pytest.fixture
def serve():
    made = []

    def make(**options):
        made.append(ProcessVectorEnv([lambda: Guest(**options)] * 2))
        return made[-1]

    yield make
    for envs in made:
        envs.close()


METADATA = {
    contract.REAL_TIME: True,
    contract.FRAME_STACK: (0, 1, "zero"),
    contract.EPISODES_PER_SEED: 4,
    contract.LAUNCHES_PROGRAMS: True,
    contract.EXCLUSIVE: True,
    contract.ASSISTS: ("a map",),
    contract.MEANING: {"keys": ["a"]},
}
INFO = {
    contract.TRANSITION: False,
    contract.LEARNED: False,
    contract.COUNTED: True,
    contract.OUTCOME: "win",
    contract.OPPONENT: "somebody",
    contract.START: "corner",
    contract.ACTION_MASK: np.array([True, False]),
    contract.PLACE: (1, 2, 3),
    contract.PROGRESS: 4.5,
    contract.MILESTONE: "badge",
}


@pytest.mark.parametrize("word", METADATA)
def test_metadata_of_a_guest_that_follows_the_contract_is_handed_on(serve, word):
    envs = serve(metadata={word: METADATA[word]})
    assert envs.metadata[word] == METADATA[word]
    assert bool(envs.groups) == (word != contract.REAL_TIME)


@pytest.mark.parametrize("word", [*METADATA, contract.MASKED_RESET, contract.OVERLAPPING_RESETS])
def test_metadata_of_a_stranger_is_not_misread(serve, word):
    envs = serve(follows=False, metadata={word: "something else", "author": "somebody"})
    assert envs.metadata.get(word) in (None, True)  # what the vector env itself declares
    assert envs.metadata["author"] == "somebody"
    assert envs.metadata[contract.CONTRACT] == contract.VERSION
    assert envs.groups


@pytest.mark.parametrize("word", INFO)
def test_infos_of_a_guest_that_follows_the_contract_are_handed_on(serve, word):
    envs = serve(info={word: INFO[word]})
    envs.reset()
    infos = envs.step([0, 0])[4]
    assert infos[f"_{word}"].all()
    for told in infos[word]:
        np.testing.assert_array_equal(told, INFO[word])
    infos = envs.step([1, 0])[4]
    infos = envs.step([0, 0])[4]  # the first column's next episode: no word of the env's makes a row of that
    assert infos[contract.BEGAN].tolist() == [True, False]
    assert not infos[contract.TRANSITION][0]
    assert not infos[contract.COUNTED][0]


def test_an_action_mask_means_the_same_with_everybody(serve):
    envs = serve(follows=False, info={"action_mask": np.array([1, 0])})
    for infos in (envs.reset()[1], envs.step([0, 0])[4]):
        assert infos["action_mask"].tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize("word", [word for word in contract.INFOS if word != contract.ACTION_MASK])
def test_infos_of_a_stranger_are_not_misread_and_not_lost(serve, word):
    envs = serve(follows=False, info={word: 7, "lives": 3})
    for infos in (envs.reset()[1], envs.step([0, 0])[4]):
        assert infos[f"env_{word}"].tolist() == [7, 7]
        assert infos["lives"].tolist() == [3, 3]
        assert not np.any(infos.get(contract.RESETTING))
        assert word not in infos or word in (contract.RESETTING, contract.BEGAN)  # which the vector env itself says
        assert np.asarray(infos.get(word, False)).dtype == np.bool_
    envs.step([1, 0])
    assert envs.step([0, 0])[4][contract.BEGAN].tolist() == [True, False]


@pytest.mark.parametrize("follows", [True, False])
def test_methods_are_called_only_where_they_are_those_of_the_contract(serve, follows):
    envs = serve(follows=follows)
    envs.reset()
    envs.pause()
    envs.resume()
    assert envs.get_attr("calls") == ((["pause", "resume"],) * 2 if follows else ([],) * 2)
    assert hasattr(envs, contract.GET_STATE) == hasattr(envs, contract.SET_STATE) == follows


def test_states_of_a_guest(serve):
    envs, other = serve(), serve()
    envs.reset()
    envs.step([0, 0])
    other.set_state(envs.get_state())
    assert other.step([0, 0])[0].tolist() == [[2.0], [2.0]]


OURS = {
    "Press": (PressEnv, ()),
    "Press vector": (lambda: PressVectorEnv(2), (contract.MASKED_RESET,)),
    "Pong": (PongEnv, (contract.FRAME_STACK, contract.MEANING)),
    "Pong vector": (
        lambda: make_pong_vec(2, num_threads=2),
        (contract.FRAME_STACK, contract.MEANING, contract.MASKED_RESET, contract.EPISODES_PER_SEED),
    ),
    "Pong group": (
        lambda: make_pong_vec(2, num_threads=2).groups[0],
        (contract.FRAME_STACK, contract.MEANING, contract.MASKED_RESET, contract.EPISODES_PER_SEED),
    ),
    "screen": (
        lambda: ScreenGameEnv("flash"),
        (
            contract.FRAME_STACK,
            contract.MEANING,
            contract.REAL_TIME,
            contract.LAUNCHES_PROGRAMS,
            contract.EXCLUSIVE,
        ),
    ),
    "screen vector": (
        lambda: make_screen_vec(1, game="flash"),
        (
            contract.FRAME_STACK,
            contract.MEANING,
            contract.REAL_TIME,
            contract.LAUNCHES_PROGRAMS,
            contract.EXCLUSIVE,
            contract.MASKED_RESET,
            contract.OVERLAPPING_RESETS,
        ),
    ),
}


@pytest.mark.parametrize("name", OURS)
def test_every_env_of_ours_declares_the_contract_and_what_it_is(name):
    make, words = OURS[name]
    env = make()
    assert env.metadata[contract.CONTRACT] == contract.VERSION
    assert set(env.metadata) & set(contract.METADATA) == {contract.CONTRACT, *words}
    env.close()


def test_the_class_of_a_live_game_says_that_it_launches_programs():
    assert ScreenGameEnv.metadata[contract.LAUNCHES_PROGRAMS]
    assert ScreenGameEnv.metadata[contract.CONTRACT] == contract.VERSION


def test_both_packages_mean_the_same_words():
    """Neither package may import the other, so each has the words, and here they are compared, as files."""

    def constants(path):
        spec = importlib.util.spec_from_file_location("read_for_its_words", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return {name: value for name, value in vars(module).items() if name.isupper() and isinstance(value, str | int)}

    theirs = constants(ROOT / "src" / "hakisa_algos" / "data" / "contract.py")
    assert constants(contract.__file__) == theirs
    assert contract.OUTCOMES == ("win", "loss", "draw")


def keys(tree):
    """String constants by which something is looked up, or put into a dict."""
    for node in ast.walk(tree):
        found = []
        if isinstance(node, ast.Subscript):
            found = [node.slice]
        elif isinstance(node, ast.Dict):
            found = node.keys
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop"):
            found = node.args[:1]
        yield from (key for key in found if isinstance(key, ast.Constant) and isinstance(key.value, str))


def test_no_key_of_the_contract_is_written_as_a_literal():
    for path in Path(hakisa_envs.__file__).parent.rglob("*.py"):
        for key in keys(ast.parse(path.read_text(encoding="utf-8"))):
            # A table of a profile and an option of Pong; places are many things, of profiles and events among them.
            own = {("profile.py", "start"), ("pong.py", "frame_stack")}
            other = (path.name, key.value) in own or key.value == contract.PLACE
            assert other or key.value.removeprefix("_") not in (*contract.METADATA, *contract.INFOS), (
                f"{path}:{key.lineno}: {key.value!r}"
            )


def test_the_page_has_every_word():
    page = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    for word in (contract.CONTRACT, *WORDS.values()):
        assert f"`{word}" in page, word


def test_the_example_of_the_page_is_an_env_that_says_what_it_claims():
    page = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    names = {"__name__": "__main__"}
    exec(page.split("```python\n")[1].split("```")[0], names)
    env, other = names["Corridor"](), names["Corridor"]()
    check_env(env, skip_render_check=True)
    env.reset(seed=4)
    env.step(1)
    other.set_state(env.get_state())
    over = False
    while not over:
        _, reward, over, _, info = env.step(1)
        assert other.step(1)[1:] == (reward, over, False, info)
    assert info["outcome"] == "win"
    assert info["start"] in ("left", "right")
    np.testing.assert_array_equal(env.reset()[0], other.reset()[0])
    envs = ProcessVectorEnv([names["Corridor"]] * 2)
    envs.reset(seed=4)
    assert len(envs.get_state()) == 2
    envs.close()
