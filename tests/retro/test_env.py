"""`Hakisa/Fighter-v0`: episodes end as they should, pay what they should, and repeat."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

helpers = pytest.importorskip("tests.retro.helpers")
from hakisa_envs.errors import UnknownOptionError  # noqa: E402
from hakisa_envs.retro.errors import RomError, StateError  # noqa: E402
from hakisa_envs.retro.game_files import Variable, homebrew  # noqa: E402
from hakisa_envs.retro.remote import RemoteEmulator  # noqa: E402
from hakisa_envs.retro.street_fighter.actions import COMBOS  # noqa: E402
from hakisa_envs.vector import WorkerError  # noqa: E402
from tests.helpers.roms import users_rom_is_there  # noqa: E402

HEALTH, ENEMY_HEALTH, TIMER = (
    homebrew(helpers.GAME).variables[name] for name in ("health", "enemy_health", "timer")
)  # fmt: skip
NOTHING, BACK = COMBOS.index(()), COMBOS.index(("LEFT",))
FINE_X, ENEMY_FINE_X = Variable(0xFF8080, ">i2"), Variable(0xFF8300, ">i2")


@pytest.fixture
def make():
    """Makes Fighter envs, and closes them."""
    made = []

    def fighter(game=helpers.GAME, **options):
        states = "passive.easy.left" if game == helpers.GAME else None
        env = gym.make("Hakisa/StreetFighter2-v0", game=game, **{"states": states, "start_frames": 0, **options})
        made.append(env)
        return env

    yield fighter
    for env in made:
        env.close()


def emulator_of(env):
    return env.unwrapped._fight.open()


def end_round(env, own, enemy):
    """Let the time run out with these healths: the last step's results."""
    emulator = emulator_of(env)
    emulator.write(HEALTH, own)
    emulator.write(ENEMY_HEALTH, enemy)
    emulator.write(TIMER, 0x0001)
    return env.step(NOTHING)


@pytest.mark.parametrize(
    ("own", "enemy", "outcome", "pays"), [(90, 80, "win", 1), (80, 90, "loss", -1), (80, 80, "draw", 0)]
)
def test_a_round_ends_by_time(make, game, own, enemy, outcome, pays):
    env = make(game)
    env.reset(seed=1)
    _, reward, terminated, truncated, info = end_round(env, own, enemy)
    assert (terminated, truncated, info["outcome"], info["reward_round"]) == (True, False, outcome, pays)
    assert reward == pytest.approx(sum(value for name, value in info.items() if name.startswith("reward_")))
    with pytest.raises(gym.error.ResetNeeded):
        env.unwrapped.step(NOTHING)


def test_health_0_is_alive_and_a_knock_out_ends_the_round(make):
    env = make(states="versus")
    env.reset(seed=1)
    emulator = emulator_of(env)
    emulator.write(ENEMY_HEALTH, 6)
    seen = []
    for _ in range(30):
        emulator.write(ENEMY_FINE_X, emulator.read(FINE_X) + 40 * 16)
        _, _, terminated, _, info = env.step(COMBOS.index(("X",)))
        seen.append((info["enemy_health"], terminated))
        if terminated:
            break
    assert (0, False) in seen
    assert seen[-1] == (-1, True)
    assert info["outcome"] == "win"


@pytest.mark.parametrize("episode", ["round", "match"])
@pytest.mark.parametrize(("own", "enemy", "outcome"), [(90, -1, "win"), (-1, 90, "loss"), (-1, -1, "draw")])
def test_a_round_ends_by_knock_out_of_one_or_both(make, game, own, enemy, outcome, episode):
    env = make(game, episode=episode)
    env.reset(seed=1)
    emulator = emulator_of(env)
    emulator.write(HEALTH, own)
    emulator.write(ENEMY_HEALTH, enemy)
    _, _, terminated, truncated, info = env.step(NOTHING)
    assert (terminated, truncated, info["outcome"]) == (episode == "round", False, outcome)
    assert info["reward_round"] == {"win": 1, "loss": -1, "draw": 0}[outcome]
    assert (info["rounds_won"], info["rounds_lost"]) == (outcome == "win", outcome == "loss")
    if episode == "match":
        assert env.step(NOTHING)[4]["health"] == 176


def test_a_match_skips_what_lies_between_its_rounds_and_pays_nothing_for_it(make, game):
    env = make(game, episode="match", reward="damage")
    env.reset(seed=2)
    _, reward, terminated, _, info = end_round(env, 90, 80)
    assert (terminated, info["rounds_won"], info["rounds_lost"]) == (False, 1, 0)
    assert info["reward_dealt"] == pytest.approx(96 / 176)  # written above, not the refilled bar
    _, reward, terminated, _, info = env.step(NOTHING)
    assert (info["health"], info["enemy_health"], reward, terminated) == (176, 176, 0, False)
    assert info["rounds_won"] == 1
    _, _, terminated, _, info = end_round(env, 80, 90)
    assert (terminated, info["outcome"]) == (False, "draw")
    _, _, terminated, _, info = end_round(env, 80, 90)
    assert (terminated, info["outcome"], info["rounds_lost"]) == (True, "loss", 2)


def test_a_match_of_draws_ends_with_the_fourth_round(make, game):
    env = make(game, episode="match")
    env.reset(seed=2)
    ends = [end_round(env, 80, 80)[2] for _ in range(4)]
    assert ends == [False, False, False, True]


def test_a_game_goes_on_to_the_next_opponent_until_a_match_is_lost(make):
    env = make(episode="game")
    env.reset(seed=3)
    met = []
    for own, enemy in ((90, 80), (90, 80), (80, 90), (80, 90)):
        _, _, terminated, _, info = end_round(env, own, enemy)
        met.append((info["opponent"], terminated))
    assert met == [("passive easy", False)] * 2 + [("turtle easy", False), ("turtle easy", True)]
    assert info["outcome"] == "loss"


@pytest.mark.parametrize(("own", "enemy", "outcome"), [(90, -1, "win"), (-1, 90, "loss")])
@pytest.mark.parametrize("episode", ["match", "game"])
def test_the_second_knock_out_decides_a_match_and_a_game_goes_on_if_it_is_won(make, own, enemy, outcome, episode):
    env = make(episode=episode)
    env.reset(seed=1)
    seen = []
    for _ in range(2):
        emulator = emulator_of(env)
        emulator.write(HEALTH, own)
        emulator.write(ENEMY_HEALTH, enemy)
        _, _, terminated, truncated, info = env.step(NOTHING)
        seen.append(terminated)
        assert not truncated
    goes_on = episode == "game" and outcome == "win"
    assert seen == [False, not goes_on]
    if goes_on:
        assert env.step(NOTHING)[4]["opponent"] == "turtle easy"
    else:
        assert info["outcome"] == outcome


def test_a_game_ends_with_a_match_that_nobody_wins(make):
    env = make(episode="game")
    env.reset(seed=2)
    ends = [end_round(env, 80, 80) for _ in range(4)]
    assert [terminated for _, _, terminated, _, _ in ends] == [False, False, False, True]
    assert ends[-1][4]["outcome"] == "draw"


def test_who_beats_all_opponents_has_won_the_game(make):
    env = make(episode="game")
    env.reset(seed=4)
    met, terminated = [], False
    while not terminated:
        assert len(met) < 30
        _, _, terminated, truncated, info = end_round(env, 90, 80)
        assert not truncated
        met.append(info["opponent"])
    styles = ("passive", "turtle", "rusher", "zoner", "mixed")
    assert met == [f"{style} {strength}" for strength in ("easy", "normal", "hard") for style in styles for _ in "12"]
    assert info["outcome"] == "win"


def test_a_score_that_does_not_start_at_zero_pays_nothing(make):
    env = make(states="mixed.hard.left", reward="score")
    env.reset(seed=1)
    assert [env.step(NOTHING)[1] for _ in range(5)] == [0.0] * 5


def test_what_is_paid_in_a_round_is_what_it_cost_whatever_actions_last(make, game):
    """Motion specials of eight frames among actions of four: nothing falls between two decisions."""
    env = make(game, actions="macros")
    env.reset(seed=2)
    generator, paid, ended = np.random.default_rng(0), {"dealt": 0.0, "taken": 0.0}, False
    while not ended:
        _, reward, ended, _, info = env.step(int(generator.choice([*range(63), *range(63, 72), *range(63, 72)])))
        assert reward == pytest.approx(sum(value for name, value in info.items() if name.startswith("reward_")))
        for part in paid:
            paid[part] += info[f"reward_{part}"]
    assert paid["dealt"] == pytest.approx((176 - max(info["enemy_health"], 0)) / 176)
    assert paid["taken"] == pytest.approx((max(info["health"], 0) - 176) / 176)


def test_both_sides_look_the_same_to_the_numbers(make):
    left, right = (make(states=f"passive.easy.{side}", observation="ram") for side in ("left", "right"))
    for on_the_left, on_the_right in (("RIGHT", "LEFT"), ("LEFT", "RIGHT"), ("DOWN", "DOWN")):
        one, two = left.reset(seed=1)[0], right.reset(seed=1)[0]
        own = slice(0, 12)  # opponents do what they do by chance
        assert one[own] == pytest.approx(two[own])
        for _ in range(3):
            one, two = left.step(COMBOS.index((on_the_left,)))[0], right.step(COMBOS.index((on_the_right,)))[0]
        assert one[own] == pytest.approx(two[own], abs=1.01 / 256)  # the game rounds sixteenths of a pixel down


def test_a_tap_attacks_in_every_decision_and_a_hold_once(make):
    attacks = {}
    for press in ("tap", "hold"):
        env = make(press=press, states="versus")
        env.reset(seed=1)
        for _ in range(24):
            env.step(COMBOS.index(("X",)))
        attacks[press] = emulator_of(env).read(Variable(0xFF8094, "|u1"))
        env.close()
    assert attacks["hold"] == 1
    assert attacks["tap"] >= 5


def test_a_macro_does_what_no_combo_can_and_stops_as_the_round_ends(make):
    env = make(actions="macros", states="versus")
    env.reset(seed=1)
    fireball = env.unwrapped.get_action_meanings().index("fireball X")
    info = env.step(fireball)[4]
    assert info["frames"] == 8
    assert emulator_of(env).read(Variable(0xFF8002, ">u2")) == helpers.SPECIAL
    emulator_of(env).write(TIMER, 0x0003)
    _, _, terminated, _, info = env.step(fireball)
    assert (terminated, info["frames"]) == (True, 3)


@pytest.mark.parametrize(
    "options",
    [{}, {"observation": "both", "sticky": 0.25, "actions": "macros", "episode": "match"}],
)
def test_the_same_seed_and_actions_are_the_same_after_a_restore_and_beside_another(make, game, options):
    def play(env, steps, start=True):
        generator = np.random.default_rng(4)
        rows = [env.reset(seed=7)] if start else []
        for _ in range(steps):
            rows.append(env.step(int(generator.integers(63))))
        return rows

    states = ["mixed.normal.left", "rusher.hard.right"] if game == helpers.GAME else None
    options = {"states": states, "start_frames": 30, **options}
    one = make(game, **options)
    first = play(one, 40)
    kept = one.unwrapped.get_state()
    after = play(one, 20, start=False)
    two = make(game, **options)  # in a process of its own, since this one has an emulator
    assert_same(play(two, 40), first)
    assert isinstance(two.unwrapped._fight.open(), RemoteEmulator)
    three = make(game, **options)
    three.unwrapped.set_state(kept)
    assert_same([three.unwrapped.step(int(a)) for a in np.random.default_rng(4).integers(63, size=20)], after)


TO_ALL = """
import os, signal
import gymnasium as gym
import hakisa_envs

envs = [gym.make("Hakisa/Fighter-v0") for _ in range(2)]
for env in envs:
    env.reset(seed=1)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, frame: None)
    os.killpg(0, number)
    for env in envs:
        assert env.step(0)[2:4] == (False, False), number
print(type(envs[1].unwrapped._fight.open()).__name__)
"""


def test_an_emulator_in_a_process_of_its_own_hears_no_signal_to_all():
    command = [sys.executable, "-c", TO_ALL]
    done = subprocess.run(command, start_new_session=True, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, "RemoteEmulator\n"), done.stderr


def assert_same(rows, others):
    assert len(rows) == len(others)
    for row, other in zip(rows, others, strict=True):
        assert row[1:] == other[1:]
        for mine, theirs in zip(
            *(list(o.values()) if isinstance(o, dict) else [o] for o in (row[0], other[0])), strict=True
        ):
            assert (mine == theirs).all()


def test_the_episode_of_an_emulator_that_died_is_truncated_and_flagged_and_the_next_reset_opens_another(make):
    one, two = make(), make()
    one.reset(seed=1)
    first, _ = two.reset(seed=1)

    def kill():
        process = emulator_of(two)._process
        process.kill()
        process.wait()

    kill()
    observation, reward, terminated, truncated, info = two.step(NOTHING)
    assert (observation == first).all()
    assert (reward, terminated, truncated, info["transition"], info["counted"]) == (0.0, False, True, False, False)
    assert "SIGKILL" in info["failure"]
    with pytest.raises(gym.error.ResetNeeded):
        two.unwrapped.step(NOTHING)
    assert (two.reset(seed=1)[0] == first).all()
    kept = two.unwrapped.get_state()
    kill()
    assert (two.reset(seed=1)[0] == first).all()  # also between two episodes
    kill()
    two.unwrapped.set_state(kept)
    after = two.step(NOTHING)
    assert after[3] is False
    for _ in range(2):
        kill()
        assert two.step(NOTHING)[3]
        two.reset(seed=1)
    kill()
    with pytest.raises(WorkerError, match="fourth such failure"):  # something is wrong there
        two.step(NOTHING)


def test_a_sticky_pad_stays_as_it_was(make):
    walked = []
    for sticky in (0.0, 1.0):
        env = make(states="versus", sticky=sticky)
        env.reset(seed=1)
        before = emulator_of(env).read(FINE_X)
        for _ in range(5):
            env.step(COMBOS.index(("RIGHT",)))
        walked.append(emulator_of(env).read(FINE_X) - before)
        env.close()
    assert walked[0] > 0 == walked[1]


def test_a_reward_of_ones_own_sees_two_frames_of_one_round(make):
    seen = []

    def reward(before, after, outcome):
        seen.append((before.timer, after.timer, outcome))
        return {"time": before.timer - after.timer, "won": outcome == "win"}

    env = make(reward=reward, episode="match")
    env.reset(seed=1)
    env.step(NOTHING)
    _, paid, _, _, info = end_round(env, 90, 80)
    assert paid == info["reward_time"] + 1.0
    env.step(NOTHING)
    assert [outcome for *_, outcome in seen] == [None, "win", None]
    assert all(before >= after for before, after, _ in seen)  # no timer was wound up between the two


def test_where_episodes_are_lost_more_of_them_start_and_a_saved_state_knows(make):
    states = ["passive.easy.left", "passive.easy.right"]
    env = make(states=states, sampling="lost")
    for number in range(8):
        env.reset(seed=number, options={"state": states[number % 2]})
        end_round(env, *((90, 80) if number % 2 else (80, 90)))
    weights = env.unwrapped._starts.weights()
    assert weights[0] > 0.9
    env.reset(seed=1)
    other = make(states=states, sampling="lost")
    other.unwrapped.set_state(env.unwrapped.get_state())
    assert (other.unwrapped._starts.weights() == weights).all()


def test_opponents_starts_and_seeds_are_told(make):
    env = make(states=["turtle.hard.left", "zoner.easy.right"], start_frames=30)
    told = {tuple(env.reset(seed=seed)[1][name] for name in ("opponent", "start")) for seed in range(8)}
    assert told == {("turtle hard", "turtle.hard.left"), ("zoner easy", "zoner.easy.right")}
    assert env.reset(options={"state": "rusher.easy.left"})[1]["opponent"] == "rusher easy"


@pytest.mark.parametrize("observation", ["pixels", "ram", "both"])
@pytest.mark.parametrize("actions", ["combos", "buttons", "macros", "heads"])
@pytest.mark.filterwarnings("ignore:.*not within the observation space")
def test_the_checkers_of_gymnasium_and_sb3(make, game, observation, actions):
    env = make(game, observation=observation, actions=actions, render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=True)
    pytest.importorskip("stable_baselines3.common.env_checker").check_env(env.unwrapped)
    env.reset(seed=1)
    assert env.render().shape == (200, 256, 3)


def test_making_one_opens_nothing():
    program = (
        "import sys, gymnasium as gym\n"
        "env = gym.make('hakisa_envs:Hakisa/Fighter-v0')\n"
        "env.observation_space, env.action_space\n"
        "assert 'stable_retro' not in sys.modules\n"
        "env.close(); env.close()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"frame_skp": 2}, UnknownOptionError, "did you mean 'frame_skip'"),
        ({"episode": "set"}, ValueError, "round"),
        ({"reward": "linli"}, ValueError, "linyi"),
        ({"frame_skip": 0}, ValueError, "frame_skip=0"),
        ({"frame_skip": 1}, ValueError, "hold"),
        ({"sticky": 2}, ValueError, "sticky=2"),
    ],
)
def test_wrong_options_are_named(make, options, error, says):
    with pytest.raises(error, match=says):
        make(**options)


def test_a_state_that_is_not_there_is_named(make):
    with pytest.raises(StateError, match=r"mixed\.normal\.left"):
        make(states="nobody").reset()


def test_states_whose_memory_means_nothing_or_of_another_game_are_refused(make, tmp_path):
    env = make()
    env.reset(seed=1)
    kept = env.unwrapped.get_state()
    emulator_of(env).write(HEALTH, 5000)
    emulator_of(env).save(tmp_path / "odd.state")
    with pytest.raises(StateError, match=r"health is 5000.*\n +hakisa retro state"):
        env.reset(options={"state": str(tmp_path / "odd.state")})
    env.reset(seed=1)
    kept["fight"]["game"] = "Another-Genesis-v0"
    with pytest.raises(StateError, match="a state of Another-Genesis-v0"):
        env.unwrapped.set_state(kept)


def test_without_the_users_rom_the_error_says_how_to_import_it():
    if users_rom_is_there():
        pytest.skip("the user's ROM is there")
    env = gym.make("Hakisa/StreetFighter2-v0")
    with pytest.raises(RomError, match="hakisa retro import"):
        env.reset()
