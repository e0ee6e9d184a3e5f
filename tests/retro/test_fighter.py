"""The Fighter plays as a fighting game should, and its memory has the real game's meaning and quirks."""

import pytest

helpers = pytest.importorskip("tests.retro.helpers")
from hakisa_envs.retro.game_files import Variable  # noqa: E402
from tests.retro.helpers import (  # noqa: E402
    ATTACK,
    BEATEN,
    BLOCK,
    BLOCK_LOW,
    CONTINUE,
    CROUCH,
    FIGHTING,
    FULL_HEALTH,
    GAME_OVER,
    INTRO,
    JUMP,
    NEXT_OPPONENT,
    NOT_STARTED,
    RESULT,
    ROUND_OVER,
    SPECIAL,
    STAND,
    STUNNED,
    THROWN,
    TIME_OVER,
    WINNER,
    Match,
)

MOVES = {"X": 0, "Y": 1, "Z": 2, "A": 3, "B": 4, "C": 5}


@pytest.mark.parametrize("button", MOVES)
@pytest.mark.parametrize(("player", "name"), [(0, ""), (1, "enemy_")])
def test_every_attack_button_attacks_on_both_pads(match, button, player, name):
    pads = ["", ""]
    pads[player] = button
    match.play(1, *pads)
    assert (match[f"{name}status"], match[f"{name}move"]) == (ATTACK, MOVES[button])
    match.begin()
    pads[player] = f"DOWN {button}"
    match.play(1, *pads)
    assert match[f"{name}move"] == 6 + MOVES[button]
    match.begin()
    pads[player] = "UP"
    match.play(8, *pads)
    assert match[f"{name}status"] == JUMP
    pads[player] = button
    match.play(1, *pads)
    assert match[f"{name}move"] == 12 + MOVES[button]


@pytest.mark.parametrize(("direction", "moves"), [("LEFT", -1), ("RIGHT", 1)])
@pytest.mark.parametrize(("player", "name"), [(0, ""), (1, "enemy_")])
def test_left_and_right_walk(match, direction, moves, player, name):
    before = match[f"{name}x"]
    pads = ["", ""]
    pads[player] = direction
    match.play(10, *pads)
    assert (match[f"{name}x"] - before) * moves > 8
    assert match[f"{name}status"] == STAND


def test_down_crouches_and_up_jumps_and_lands(match):
    match.play(2, "DOWN", "UP")
    assert (match["status"], match["enemy_status"]) == (CROUCH, JUMP)
    match.play(15)
    assert match["enemy_y"] < 192 - 40
    match.until("enemy_y", 192, 60)
    match.play(1)
    assert match["enemy_status"] == STAND


def test_start_and_mode_do_nothing_in_a_fight(match):
    match.play(10, "START MODE", "START MODE")
    assert (match["phase"], match["status"], match["enemy_status"]) == (FIGHTING, STAND, STAND)


def test_a_held_button_attacks_once(match):
    match.play(60, "X")
    assert match["attacks"] == 1
    match.play(1)
    match.play(60, "X")
    assert match["attacks"] == 2


def test_a_button_held_since_before_the_round_attacks_only_after_it_was_let_go(emulator):
    match = Match(emulator)
    emulator.load("versus")
    match.until("phase", FIGHTING, one="X")
    match.play(20, "X")
    assert match["attacks"] == 0


def test_the_round_is_announced_in_letters(emulator):
    match = Match(emulator)
    emulator.load("versus")
    match.play(3)
    row = match.emulator.picture()[64:72]  # of the messages
    white = (row.min(axis=2) > 220).any(axis=0).reshape(32, 8).any(axis=1)
    assert "".join("x" if cell else "." for cell in white) == 12 * "." + "xxxxx.x" + 13 * "."  # ROUND 1


def test_a_blow_takes_health_stuns_and_pays(match):
    match.approach(40)
    before = match["score"]
    match.play(12, "X")
    assert match["enemy_health"] == FULL_HEALTH - 6
    assert match["enemy_status"] == STUNNED
    assert match["score"] == before + 100
    assert match["health"] == FULL_HEALTH


def test_a_blow_out_of_reach_hits_nothing(match):
    match.approach(80)
    match.play(30, "Z")
    assert match["enemy_health"] == FULL_HEALTH


@pytest.mark.parametrize(
    ("attack", "guard", "hit"),
    [
        ("B", "RIGHT", False),
        ("B", "RIGHT DOWN", False),
        ("B", "", True),
        ("DOWN B", "RIGHT", True),  # low: only a crouching block stops it
        ("DOWN B", "RIGHT DOWN", False),
    ],
)
def test_what_blocks_what(match, attack, guard, hit):
    match.approach(50)
    match.play(9, attack, guard)
    assert (match["enemy_health"] < FULL_HEALTH) == hit
    if not hit:
        assert match["enemy_status"] == (BLOCK_LOW if "DOWN" in guard else BLOCK)


@pytest.mark.parametrize(("guard", "hit"), [("RIGHT", False), ("RIGHT DOWN", True)])
def test_an_attack_from_above_is_blocked_standing_only(match, guard, hit):
    match.approach(100)
    match.play(28, "UP RIGHT", guard)
    match.play(16, "C", guard)
    assert (match["enemy_health"] < FULL_HEALTH) == hit


def test_a_throw_beats_a_block(match):
    match.approach(30)
    match.play(1, "RIGHT Z", "RIGHT")
    assert match["enemy_status"] == THROWN
    assert match["enemy_health"] == FULL_HEALTH - 24


def fireball(match, forward="RIGHT", player=0):
    for pad, frames in ((["DOWN"], 2), (["DOWN", forward], 2), ([forward], 1), ([forward, "X"], 1), ([], 1)):
        pads = ["", ""]
        pads[player] = " ".join(pad)
        match.play(frames, *pads)


@pytest.mark.parametrize(("player", "forward", "name"), [(0, "RIGHT", ""), (1, "LEFT", "enemy_")])
def test_the_motion_throws_a_fireball_either_way(match, player, forward, name):
    fireball(match, forward, player)
    assert match[f"{name}status"] == SPECIAL
    match.play(14)
    assert match[f"{name}ball"] == 1
    match.play(60)
    other = "enemy_" if player == 0 else ""
    assert match[f"{other}health"] == FULL_HEALTH - 12


def test_a_blocked_fireball_costs_a_little_and_can_knock_out(match):
    fireball(match)
    match.until("enemy_health", FULL_HEALTH - 3, 120, "", "RIGHT")
    assert match["enemy_status"] == BLOCK
    match.begin()
    match["enemy_health"] = 2
    fireball(match)
    match.until("phase", ROUND_OVER, 120, "", "RIGHT")
    assert (match["enemy_health"], match["enemy_status"]) == (-1, BEATEN)
    match.play(10)
    assert match["enemy_y"] < 192  # it falls


def test_the_motion_the_wrong_way_round_is_a_punch(match):
    fireball(match, "LEFT")
    assert match["status"] == ATTACK


def test_two_fireballs_meet_and_are_gone(match):
    for pads in (("DOWN", "DOWN"), ("DOWN RIGHT", "DOWN LEFT"), ("RIGHT", "LEFT"), ("RIGHT X", "LEFT X")):
        match.play(2, *pads)
    match.play(80)
    assert (match["health"], match["enemy_health"], match["ball"], match["enemy_ball"]) == (
        FULL_HEALTH,
        FULL_HEALTH,
        0,
        0,
    )


def test_fighters_change_sides_and_turn(match):
    match.approach(40)
    match.play(20, "UP RIGHT")
    match.until("y", 192, 60)
    assert match["x"] > match["enemy_x"]
    match.approach(-40)
    match.play(12, "X")
    assert match["enemy_health"] == FULL_HEALTH - 6  # it looks to the left now


def test_health_0_is_alive_and_less_is_a_knock_out(match):
    match["enemy_health"] = 6
    match.approach(40)
    match.play(20, "X")
    assert (match["enemy_health"], match["phase"]) == (0, FIGHTING)
    match.approach(40)
    match.until("phase", ROUND_OVER, 30, "A")
    assert (match["enemy_health"], match["enemy_status"]) == (-1, BEATEN)


def beat(match, loser="enemy_"):
    """Win the round in one blow."""
    match[f"{loser}health"] = 0
    match.approach(40)
    match.play(1)
    match.until("phase", ROUND_OVER, 30, *(("X", "") if loser else ("", "X")))


def test_after_a_knock_out_the_counter_comes_late_and_health_is_full_again(match):
    beat(match)
    timer = match["timer"]
    for _ in range(60):
        match.play(1, "X", "X")
        assert (match["enemy_health"], match["matches_won"], match["timer"]) == (-1, 0, timer)
    match.until("matches_won", 1, 30)
    match.play(1)
    assert match["status"] == WINNER
    match.until("phase", INTRO)
    assert (match["health"], match["enemy_health"], match["timer"]) == (FULL_HEALTH, FULL_HEALTH, NOT_STARTED)
    assert match["matches_won"] == 1


def test_the_timer_stands_until_the_round_begins_and_then_counts_in_bcd(emulator):
    match = Match(emulator)
    emulator.load("versus")
    while match["phase"] == INTRO:
        assert (match["timer"], match["status"]) == (NOT_STARTED, STAND)
        match.play(1, "RIGHT", "LEFT")
    assert match["x"] == 205
    match.play(1)
    assert match["timer"] == 0x9927
    seconds = []
    for _ in range(800):
        match.play(1)
        seconds.append(match["timer"] >> 8)
    assert sorted(set(seconds), reverse=True) == [*range(0x99, 0x8F, -1), *range(0x89, 0x7F, -1), 0x79]
    assert max(map(seconds.count, seconds)) == 40


@pytest.mark.parametrize(("health", "enemy", "winner"), [(100, 50, "matches_won"), (50, 100, "enemy_matches_won")])
def test_when_time_is_over_more_health_wins(match, health, enemy, winner):
    match["health"], match["enemy_health"], match["timer"] = health, enemy, 0x0002
    match.play(2)
    assert (match["timer"], match["phase"]) == (0, ROUND_OVER)
    match.play(1)
    assert (match["status"], match["enemy_status"]) == (TIME_OVER, TIME_OVER)
    match.until("phase", RESULT)
    loser = ({"matches_won", "enemy_matches_won"} - {winner}).pop()
    assert (match[winner], match[loser]) == (1, 0)


def test_draws_count_for_nobody_and_the_fourth_round_is_the_last(match):
    for _ in range(4):
        match["timer"] = 0x0001
        match.play(1)
        assert match["phase"] == ROUND_OVER
        match.until("phase", RESULT)
        assert (match["matches_won"], match["enemy_matches_won"]) == (0, 0)
        while match["phase"] == RESULT:
            match.play(1)
        if match["phase"] == INTRO:
            match.until("phase", FIGHTING)
    assert (match["phase"], match["continuetimer"]) == (CONTINUE, 10)


def test_two_blows_at_once_knock_both_out(match):
    match["health"] = match["enemy_health"] = 3
    match.approach(40)
    match.until("phase", ROUND_OVER, 30, "X", "X")
    assert (match["health"], match["enemy_health"], match["status"], match["enemy_status"]) == (-1, -1, BEATEN, BEATEN)
    match.until("phase", INTRO)
    assert (match["matches_won"], match["enemy_matches_won"]) == (0, 0)


def lose_match(match):
    for _ in range(2):
        match["health"] = 0
        match["timer"] = 0x0001
        match.until("phase", RESULT, 200)
        while match["phase"] == RESULT:
            match.play(1)
        if match["phase"] == INTRO:
            match.until("phase", FIGHTING)


def test_the_continue_screen_comes_after_a_lost_match_and_only_then(emulator):
    match = Match(emulator).begin("passive.easy.left")
    for _ in range(2):
        match["enemy_health"] = 0
        match["timer"] = 0x0001
        match.until("phase", RESULT, 200)
        while match["phase"] == RESULT:
            match.play(1)
            assert match["continuetimer"] == 0
        if match["phase"] == INTRO:
            match.until("phase", FIGHTING)
    assert (match["phase"], match["status"]) == (NEXT_OPPONENT, 0)
    match.until("phase", FIGHTING)
    assert (match["enemy_character"], match["matches_won"]) == (1, 0)  # the turtle comes next
    lose_match(match)
    assert (match["phase"], match["continuetimer"], match["status"]) == (CONTINUE, 10, 0)


def test_start_continues_against_the_same_and_time_ends_the_game(emulator):
    match = Match(emulator).begin("rusher.hard.right")
    opponent = match["enemy_character"]
    assert (match["x"] > match["enemy_x"], match["score"] > 0) == (True, True)
    lose_match(match)
    match.play(61)
    assert match["continuetimer"] == 9
    match.play(1, "START")
    match.until("phase", FIGHTING)
    assert (match["enemy_character"], match["enemy_matches_won"], match["continuetimer"]) == (opponent, 0, 0)
    assert match["score"] == 0
    lose_match(match)
    match.until("phase", GAME_OVER)


def test_all_opponents_are_met_one_after_another(emulator):
    match = Match(emulator).begin("passive.easy.left")
    met = [match["enemy_character"]]
    while True:
        for _ in range(2):
            match["enemy_health"] = 0
            match["timer"] = 0x0001
            match.until("phase", RESULT, 200)
            while match["phase"] == RESULT:
                match.play(1)
            if match["phase"] == INTRO:
                match.until("phase", FIGHTING)
        if match["phase"] != NEXT_OPPONENT:
            break
        match.until("phase", FIGHTING)
        met.append(match["enemy_character"])
    assert met == [8 * strength + style for strength in range(3) for style in range(5)]


@pytest.mark.parametrize(("strength", "delay"), [("easy", 30), ("normal", 28), ("hard", 14)])
def test_the_computer_answers_what_was_to_be_seen_a_while_ago_and_never_the_pad(emulator, strength, delay):
    """Whatever player 1 presses, the computer's pad is the same until what came of it can have been seen or felt."""
    pad, facing = Variable(0xFF830A, ">u2"), Variable(0xFF8308, ">i2")

    def play(style, buttons):
        match, seen = Match(emulator).begin(f"{style}.{strength}.left"), []
        for _ in range(150):
            match.play(1, buttons)
            seen.append((emulator.read(pad), match["enemy_health"], emulator.read(facing)))
        return seen

    answered = []
    for style in ("turtle", "rusher", "zoner", "mixed"):
        idle = play(style, "")
        for buttons in ("RIGHT", "X", "DOWN C", "UP RIGHT", "LEFT"):
            told = zip(idle, play(style, buttons), strict=True)
            frame, one, two = next(((i, a, b) for i, (a, b) in enumerate(told) if a != b), (None, (), ()))
            if frame is not None and one[1:] == two[1:]:  # else it was hit or turned round, which it knows at once
                answered.append(frame)
    assert len(answered) > 5
    assert min(answered) >= delay
