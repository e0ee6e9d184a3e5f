"""What frames mean, how rounds are decided, and what is paid: pure functions, without an emulator."""

import pytest

from hakisa_envs.retro.street_fighter.memory import Frame
from hakisa_envs.retro.street_fighter.observations import ram_observation, ram_space
from hakisa_envs.retro.street_fighter.rewards import REWARDS
from hakisa_envs.retro.street_fighter.rules import (
    DRAW,
    LOSS,
    WIN,
    Meaning,
    Standing,
    implausible,
    meaning,
    round_outcome,
)
from hakisa_envs.retro.street_fighter.starts import Starts

FIGHT = Frame(176, 176, 0, 0, 0, 82700, 512, 512, 205, 307, 192, 192, 3, 0x9915)


@pytest.mark.parametrize(
    ("changes", "means"),
    [
        ({}, Meaning.FIGHTING),
        ({"health": 0}, Meaning.FIGHTING),  # 0 is alive
        ({"health": 0, "enemy_health": 0}, Meaning.FIGHTING),
        ({"timer": 0x0001}, Meaning.FIGHTING),
        ({"timer": 0x9927}, Meaning.FIGHTING),
        *[({"status": status, "enemy_status": status}, Meaning.FIGHTING) for status in (514, 516, 518, 520, 522)],
        *[({"status": status}, Meaning.FIGHTING) for status in (524, 526, 532)],
        ({"health": -1}, Meaning.KNOCKED_OUT),
        ({"enemy_health": -1}, Meaning.KNOCKED_OUT),
        ({"health": -1, "enemy_health": -1}, Meaning.KNOCKED_OUT),
        ({"enemy_health": -1, "timer": 0x9928}, Meaning.KNOCKED_OUT),  # before a frame of the round was counted
        ({"timer": 0x9928}, Meaning.NOT_STARTED),
        ({"timer": 0x9928, "status": 0}, Meaning.NOT_STARTED),
        ({"timer": 0}, Meaning.TIME_OVER),
        ({"timer": 0, "status": 1024, "enemy_status": 1024}, Meaning.TIME_OVER),
        *[({"status": status}, Meaning.BETWEEN) for status in (0, 528, 530, 1024, 1026)],
        *[({"enemy_status": status}, Meaning.BETWEEN) for status in (0, 528, 530, 1024)],
        ({"continue_timer": 10}, Meaning.CONTINUE),
        ({"continue_timer": 10, "health": -1, "timer": 0x9928}, Meaning.CONTINUE),
    ],
)
def test_what_a_frame_means(changes, means):
    assert meaning(FIGHT._replace(**changes)) is means


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"health": -1, "enemy_health": 0, "timer": 0x9928, "rounds_won": 2}, None),
        ({"health": 177}, "health is 177"),
        ({"enemy_health": -2}, "enemy_health is -2"),
        ({"enemy_rounds_won": 255}, "255"),
        ({"timer": 0xA015}, "0xa015"),
        ({"timer": 0x1A15}, "0x1a15"),
    ],
)
def test_memory_of_another_game_is_none_of_this(changes, why):
    found = implausible(FIGHT._replace(**changes))
    assert found is None if why is None else why in found


@pytest.mark.parametrize(
    ("over", "outcome"),
    [
        ({"health": 40, "enemy_health": -1}, WIN),
        ({"health": 0, "enemy_health": -1}, WIN),
        ({"health": -1, "enemy_health": 0}, LOSS),
        ({"health": -1, "enemy_health": -1}, DRAW),
        ({"timer": 0, "health": 10, "enemy_health": 9}, WIN),
        ({"timer": 0, "health": 9, "enemy_health": 10}, LOSS),
        ({"timer": 0, "health": 9, "enemy_health": 9}, DRAW),
        ({"timer": 0x9928, "health": 176, "enemy_health": 176}, WIN),  # refilled: the last fight's healths decide
        ({"continue_timer": 10, "health": 176, "enemy_health": 176}, WIN),
    ],
)
def test_who_won_a_round(over, outcome):
    last = FIGHT._replace(health=100, enemy_health=50)
    assert round_outcome(last, last._replace(**over)) == outcome


@pytest.mark.parametrize(
    ("rounds", "decided", "outcome"),
    [
        ([WIN], False, WIN),
        ([WIN, LOSS], False, DRAW),
        ([WIN, WIN], True, WIN),
        ([LOSS, WIN, LOSS], True, LOSS),
        ([DRAW, DRAW, DRAW], False, DRAW),
        ([DRAW, DRAW, DRAW, DRAW], True, DRAW),
        ([DRAW, WIN, DRAW, DRAW], True, WIN),
        ([WIN, LOSS, DRAW, LOSS], True, LOSS),
    ],
)
def test_when_a_match_is_decided(rounds, decided, outcome):
    standing = Standing()
    for number, result in enumerate(rounds):
        assert not standing.is_decided, number
        standing = standing.after(result)
    assert (standing.is_decided, standing.outcome) == (decided, outcome)


def test_the_games_counters_are_right_as_a_round_begins():
    assert Standing.at_start_of_round(FIGHT._replace(rounds_won=1), 3) == Standing(1, 0, 2)


def paid(reward, before, after, outcome=None):
    return sum(REWARDS[reward](before, after, outcome).values())


def test_damage_pays_shares_of_a_bar_and_the_round():
    hit = FIGHT._replace(enemy_health=132)
    assert paid("damage", FIGHT, hit) == pytest.approx(44 / 176)
    assert paid("damage", hit, hit) == 0
    assert paid("damage", FIGHT, FIGHT._replace(health=88)) == pytest.approx(-0.5)
    weak = FIGHT._replace(enemy_health=10)
    assert paid("damage", weak, weak._replace(enemy_health=-1), WIN) == pytest.approx(10 / 176 + 1)
    assert paid("damage", weak, weak._replace(timer=0), DRAW) == 0


def test_the_published_rewards():
    hit = FIGHT._replace(enemy_health=166, health=171)
    assert paid("linyi", FIGHT, hit) == pytest.approx(0.001 * (3 * 10 - 5))
    won = FIGHT._replace(enemy_health=-1, health=100)
    assert paid("linyi", FIGHT, won, WIN) == pytest.approx(0.003 * 176 ** (101 / 177))
    lost = FIGHT._replace(enemy_health=20, health=-1)
    assert paid("linyi", FIGHT, lost, LOSS) == pytest.approx(-0.001 * 176 ** (21 / 177))
    assert paid("hakisa", FIGHT, FIGHT) == 0
    assert paid("hakisa", FIGHT, hit) == pytest.approx(10 / (1 + 2.718281828**-5) - 5, abs=1e-6)
    ahead = FIGHT._replace(rounds_won=1)
    assert paid("hakisa", ahead, ahead) == pytest.approx(5)
    assert paid("score", FIGHT, FIGHT) == 0
    assert paid("score", FIGHT, FIGHT._replace(score=83200)) == 500


def test_the_numbers_know_no_left_and_right():
    frame = FIGHT._replace(x=200, enemy_x=300, y=150, status=522, health=90, enemy_status=514)
    mirrored = frame._replace(x=512 - 200, enemy_x=512 - 300)
    assert (ram_observation(frame) == ram_observation(mirrored)).all()
    assert ram_observation(frame) in ram_space()
    assert (ram_observation(frame) != ram_observation(frame._replace(x=210))).any()


def test_states_that_are_lost_are_drawn_more_often():
    starts = Starts(["easy", "hard"], "lost")
    assert starts.weights().tolist() == [0.5, 0.5]
    for _ in range(20):
        starts.tell("easy", WIN)
        starts.tell("hard", LOSS)
    starts.tell("by name", WIN)
    weights = starts.weights()
    assert weights[1] > 0.9
    assert weights[0] > 0.01
    other = Starts(["easy", "hard"], "lost")
    other.set_state(starts.get_state())
    assert (other.weights() == weights).all()


@pytest.mark.parametrize("states", [[], ["a", "a"]])
def test_no_states_and_the_same_twice_are_refused(states):
    with pytest.raises(ValueError, match="one or more different"):
        Starts(states, "uniform")
