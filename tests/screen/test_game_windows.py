"""Which of a game's windows is played in, and what is said of pictures that are not the game's."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from Xlib import X

from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import ScreenError, WindowError
from hakisa_envs.screen.game import Actions, GameProfile, Launch, Observation, Reading, Reward, Window
from hakisa_envs.screen.game import Screen as ScreenSettings
from hakisa_envs.screen.processes import Keeper
from hakisa_envs.screen.readers import Brightness
from hakisa_envs.screen.region import Region
from tests.helpers.backends import portable_too

from . import game_windows
from .helpers import Screen, gone, in_time, wait_until

NOOP, TAP, CLICK, MOVE = [0, 0, 0], [1, 0, 0], [2, 1, 1], [3, 1, 1]
GREY, WHITE = 64.0, 255.0


def game(program, *words, size=None, screen=(640, 480), **fields):
    """A profile of one of these programs, which reads how bright the middle of its window is."""
    return GameProfile(
        name="windows",
        folder=Path(),
        window=Window("^game$", size, timeout=5.0),
        screen=ScreenSettings(screen),
        launch=Launch(command=("{python}", "-c", program, *words)),
        observation=Observation(size=(32, 24), stack=1),
        actions=Actions(
            commands=("noop", "tap", "left_click", "move"), keys=("space",), grid=(4, 3), rate=20.0, tap_ms=20.0
        ),
        readings=(Reading("light", Brightness(Region(20, 20, 60, 40))),),
        rewards=(Reward("light"),),
        **fields,
    )


@pytest.fixture
def make():
    """Makes envs, resets them, and closes them."""
    made = []

    def make(profile, **options):
        made.append(ScreenGameEnv(profile, **{"timeout": 10.0, **options}))  # a busy machine may take long
        made[-1].reset()
        return made[-1]

    yield make
    for env in made:
        env.close()


@pytest.fixture
def person(make):
    """Makes clients on the display of an env."""
    made = []

    def person(env):
        made.append(Screen(env.session.display.name))
        return made[-1]

    yield person
    for screen in made:
        screen.close()


def light(env, action=NOOP):
    return env.step(action)[4]["readings"]["light"]


def transition(env):
    """The info of the next row that is a transition: on a busy machine some come too late to be one."""
    return wait_until(lambda: (info := env.step(NOOP)[4])["transition"] and info)


@pytest.mark.parametrize("manager", ["", "openbox"])
@pytest.mark.parametrize("action", [TAP, CLICK])
def test_fullscreen_window_of_the_game_is_seen_and_played_in_though_another_has_the_title(make, manager, action):
    if manager and shutil.which(manager) is None:
        pytest.skip("needs openbox (scripts/system-packages.sh)")
    profile = game(game_windows.FULLSCREEN, screen=(320, 240))
    env = make(replace(profile, screen=ScreenSettings((320, 240) if not manager else (640, 480), manager)))
    for _ in range(2):
        info = transition(env)
        assert not info["black"]
        assert not info["obscured"]
        before = info["readings"]["light"]
        assert env.step(action)[4]["refused"] == 0
        wait_until(lambda before=before: light(env) not in (before, None))
        env.reset()


@pytest.mark.parametrize("manager", ["", "openbox"])
def test_game_that_becomes_fullscreen_is_seen_where_it_is_drawn_then_and_back_again(make, person, manager):
    if manager and shutil.which(manager) is None:
        pytest.skip("needs openbox (scripts/system-packages.sh)")
    profile = game(game_windows.TOGGLED)
    env = make(replace(profile, screen=ScreenSettings((640, 480), manager)))
    other = person(env)
    for fullscreen in (True, False, True):
        env.step(TAP)
        wait_until(lambda f=fullscreen: light(env) == (GREY if f else WHITE))
        region = env.view.window.region
        assert (region.width, region.height) == (320, 240)
        assert not fullscreen or (region.left, region.top) == (160, 120)
        wait_until(lambda: env.step(MOVE)[4]["refused"] == 0)
        pointer = other.root.query_pointer()
        assert (pointer.root_x - region.left, pointer.root_y - region.top) == (120, 120)  # the middle of that cell
        assert transition(env)["focused"]
    mine = other.display.create_resource_object("window", env.view.window.window)
    mine.destroy()
    other.display.sync()
    wait_until(lambda: env.step(NOOP)[3])  # its fullscreen window alone is no game


@pytest.mark.skipif(not Path("/usr/games/kobodl").exists(), reason="needs kobodl (scripts/system-packages.sh)")
@pytest.mark.parametrize("size", [(640, 480), (1024, 768)])
def test_a_real_game_of_sdl_1_is_seen_in_fullscreen(make, size):
    profile = game("", screen=size)
    launch = Launch(
        command=("kobodl", "-fullscreen"), environment={"SDL_AUDIODRIVER": "dummy", "SDL_VIDEODRIVER": "x11"}
    )
    env = make(replace(profile, launch=launch, window=Window("(?i)kobo", timeout=20.0)))
    wait_until(lambda: not env.step(NOOP)[4]["black"], 20.0)
    env.reset()
    wait_until(lambda: not env.step(NOOP)[4]["black"], 20.0)


@pytest.mark.parametrize(
    ("words", "size", "where"),
    [
        *((words, size, "x11") for words in ((), ("overlaps",)) for size in (None, (320, 240))),
        portable_too((), None),
        portable_too(("overlaps",), (320, 240)),
    ],
    indirect=["where"],
)
def test_splash_whose_title_fits_gives_way_to_the_game(make, words, size, where):
    env = make(game(game_windows.SPLASH, *words, size=size), **where)
    began = time.monotonic()
    wait_until(lambda: light(env) == GREY and (env.session.area.width, env.session.area.height) == (320, 240))
    wait_until(lambda: light(env, TAP) == WHITE)
    assert in_time(began, 10.0)


def test_window_that_calls_itself_a_splash_is_never_taken(make):
    env = make(game(game_windows.TYPED_SPLASH))
    assert env.session.area == Region(0, 0, 320, 240)
    assert light(env) == GREY


@pytest.mark.parametrize(
    ("size", "where"),
    [((), "x11"), (("320", "240"), "x11"), (("400", "300"), "x11"), portable_too(("400", "300"))],
    indirect=["where"],
)
def test_window_that_the_game_makes_anew_is_played_on_in(make, size, where):
    env = make(game(game_windows.REMADE, *size), **where)
    pid = env.session._game.pid
    rows = [env.step(TAP)[2:] for _ in range(12)]
    assert not any(truncated or info["failure"] for _, truncated, info in rows)
    assert not all(info["transition"] for _, _, info in rows)
    wait_until(lambda: light(env, TAP) == WHITE)
    assert env.session.area == Region(0, 0, *map(int, size or (320, 240)))
    env.reset()
    assert env.session._game.pid == pid


@pytest.fixture
def started(on_desktop, xserver):
    """Starts one of these programs on a display that was there before, as somebody else would."""
    running = []

    def start(program):
        environment = {**os.environ, "DISPLAY": xserver}
        running.append(subprocess.Popen([sys.executable, "-c", program], env=environment))

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_window_that_a_game_which_was_there_makes_anew_is_played_on_in_and_no_strangers(
    make, started, on_desktop, screen
):
    started(game_windows.REMADE)
    env = make(replace(game(""), launch=Launch()), **on_desktop)
    assert not env.step(TAP)[3]
    wait_until(lambda: light(env, TAP) == WHITE)
    strange = screen.window(330, 0, 320, 240, title="game")  # another program's, of the same title
    mine = screen.display.create_resource_object("window", env.session.look().window.window)
    mine.destroy()
    screen.display.sync()
    lost = wait_until(lambda: (s := env.step(NOOP))[3] and s)
    assert "window is gone" in lost[4]["failure"]
    strange.destroy()
    screen.display.sync()


@pytest.mark.parametrize(
    ("lives_s", "detach", "where"),
    [
        *((lives_s, detach, "x11") for lives_s in (0.0, 1.5) for detach in ("", "setsid ")),
        portable_too(0.0, ""),  # which loses sight of what makes a session of its own
    ],
    indirect=["where"],
)
def test_launcher_that_starts_the_game_and_exits_is_not_the_end_of_it(make, lives_s, detach, where, tmp_path):
    (tmp_path / "game.py").write_text(game_windows.PLAIN)
    line = f"(sleep 0.2; exec {detach}{sys.executable} {tmp_path / 'game.py'}) & sleep {lives_s}"
    env = make(replace(game(""), launch=Launch(command=("sh", "-c", line))), **where)
    wait_until(lambda: gone(env.session._game.pid))
    window = env.session.look().window.window
    env.reset()
    assert env.session.look().window.window == window  # the very same game
    wait_until(lambda: light(env, TAP) == WHITE)


def test_launcher_that_exits_without_a_game_is_told_at_once(make, where):
    launch, began = Launch(command=("sh", "-c", "sleep 0.1 & exit 3")), time.monotonic()
    with pytest.raises(ScreenError, match="status 3"):
        make(replace(game(""), launch=launch, window=Window("^game$", timeout=60.0)), **where)
    assert in_time(began, 30.0)  # and not after the window's timeout


@pytest.mark.parametrize(("override", "where"), [(True, "x11"), (False, "x11"), portable_too(True)], indirect=["where"])
def test_frame_in_which_another_program_covers_the_game_is_no_transition_and_has_no_readings(
    make, person, override, where
):
    env = make(game(game_windows.PLAIN), **where)
    other = person(env)
    for place, readable in (((0, 0, 320, 240), False), ((20, 20, 5, 5), False), ((200, 150, 50, 50), True)):
        cover = other.window(*place, colour=0xFFFFFF, override=override)
        cover.configure(stack_mode=X.Above)
        other.display.sync()
        info = wait_until(lambda: (i := env.step(NOOP)[4])["obscured"] and i)
        assert not info["transition"]
        assert info["readings"]["light"] == (GREY if readable else None)
        assert sum(info["reward_parts"].values()) == 0.0
        cover.destroy()
        other.display.sync()
        wait_until(lambda: env.step(NOOP)[4]["transition"], 2.0)
        assert light(env) == GREY


def test_cover_outside_of_what_the_agent_sees_costs_no_transition(make, person, where):
    profile = game(game_windows.PLAIN)
    profile = replace(profile, observation=replace(profile.observation, region=Region(0, 0, 160, 120)))
    env = make(profile, **where)
    other = person(env)
    other.window(200, 150, 50, 50, colour=0xFFFFFF, override=True)
    wait_until(lambda: env.step(NOOP)[4]["obscured"])
    assert transition(env)["obscured"]


def test_compositor_that_draws_into_a_window_over_all_covers_nothing(make, person):
    env = make(game(game_windows.PLAIN))
    other = person(env)
    overlay = other.root.create_window(0, 0, 640, 480, 0, X.CopyFromParent, override_redirect=True)
    overlay.set_selection_owner(other.display.intern_atom("_NET_WM_CM_S0"), X.CurrentTime)
    overlay.map()
    other.display.sync()
    for _ in range(3):
        transition(env)  # or it would never come


class Redrawn:
    """A game that takes its time to draw itself anew after it was hidden."""

    program = (
        game_windows.HEAD
        + """
made = show(window(0, 0, 320, 240, 0, "game", mask=X.ExposureMask | X.StructureNotifyMask))
pen = made.create_gc(foreground=0x404040)
while True:
    if connection.next_event().type == X.Expose:
        time.sleep(0.12)
        made.fill_rectangle(pen, 0, 0, 320, 240)
        connection.flush()
"""
    )


@pytest.mark.parametrize("how", ["unmapped", "covered"])
def test_frames_before_the_game_has_drawn_itself_anew_have_no_readings(make, person, how, where):
    env = make(game(Redrawn.program), **where)
    wait_until(lambda: light(env) == GREY)
    other = person(env)
    mine = other.display.create_resource_object("window", env.session.look().window.window)
    for _ in range(3):
        if how == "unmapped":
            mine.unmap()
        else:
            cover = other.window(0, 0, 320, 240, colour=0xFFFFFF, override=True)
        other.display.sync()
        wait_until(lambda: light(env) is None)
        if how == "unmapped":
            mine.map()
        else:
            cover.destroy()
        other.display.sync()
        seen = []
        wait_until(lambda seen=seen: seen.append(env.step(NOOP)[4]) or seen[-1]["transition"])
        assert {info["readings"]["light"] for info in seen} <= {None, GREY}  # never the black that comes first
        assert seen[-1]["readings"]["light"] == GREY


def test_region_that_lies_outside_of_a_window_that_shrank_has_no_reading_and_is_not_seen(make, person, where):
    env = make(game(game_windows.PLAIN), **where)
    other = person(env)
    other.window(0, 0, 640, 480, colour=0xFFFFFF, title="behind").configure(stack_mode=X.Below)
    other.display.sync()
    wait_until(lambda: light(env) == GREY)  # it lay above for a moment
    mine = other.display.create_resource_object("window", env.session.look().window.window)
    for size, readable in (((70, 200), False), ((80, 59), False), ((80, 60), True), ((330, 250), True)):
        mine.configure(width=size[0], height=size[1])
        other.display.sync()
        observation, reward, _, _, info = wait_until(lambda: (s := env.step(NOOP))[4]["resized"] and s)
        observation, reward, _, _, info = env.step(NOOP)
        assert info["readings"]["light"] == (GREY if readable else None)
        assert reward == 0.0
        assert observation.max() <= GREY  # of what lies behind, nothing


def test_picture_that_stays_black_is_said_and_is_no_transition(make, where):
    env = make(game(game_windows.BLACK), **where)
    with pytest.warns(UserWarning, match=r"'windows' has been black for .*nested"):
        wait_until(lambda: env.step(NOOP)[4]["black"] and env._black_said, 20.0)
    info = env.step(NOOP)[4]
    assert (info["black"], info["transition"]) == (True, False)
    env.step(TAP)
    wait_until(lambda: env.step(NOOP)[4]["transition"])


@pytest.mark.parametrize("size", [(700, 480), (640, 481)])
def test_game_that_is_larger_than_its_display_is_refused_with_the_line_that_helps(make, size):
    width, height = size
    with pytest.raises(
        WindowError, match=rf"is {width} x {height}, but .*640 x 480.*\[screen\] size = \[{width}, {height}\]"
    ):
        make(game(game_windows.PLAIN, *map(str, size)))
    assert make(game(game_windows.PLAIN, *map(str, size), screen=size)).session.area.width == size[0]


def test_game_that_is_larger_than_a_display_of_somebody_elses_is_refused(make, where, monkeypatch):
    keeper = Keeper()
    monkeypatch.setenv("DISPLAY", open_display("xvfb", (300, 200), keeper).name)
    with pytest.raises(WindowError, match=r"is 320 x 240, but .* 300 x 200"):
        make(game(game_windows.PLAIN, size=(320, 240)), **where | {"display": "current", "armed": None})
    keeper.close()


@pytest.mark.parametrize(
    ("kind", "value", "title"),
    [
        ("STRING", "Gr\u00f6\u00dfe".encode("latin-1"), "Gr\u00f6\u00dfe"),
        ("STRING", "Gr\u00f6\u00dfe".encode(), "Gr\u00f6\u00dfe"),
        ("UTF8_STRING", "Gr\u00f6\u00dfe \u4e2d".encode(), "Gr\u00f6\u00dfe \u4e2d"),
        ("COMPOUND_TEXT", b"plain", "plain"),
        ("COMPOUND_TEXT", "Gr\u00f6\u00dfe".encode("latin-1"), "Gr\u00f6\u00dfe"),
        ("COMPOUND_TEXT", b"a \x1b%G" + "\u4e2d\u2026".encode() + b"\x1b%@ b", "a \u4e2d\u2026 b"),
        ("COMPOUND_TEXT", b"\x1b-F" + "\u03b1\u03b2".encode("iso8859-7"), "\u03b1\u03b2"),
        ("COMPOUND_TEXT", b"\x1b$(B" + "\u65e5\u672c".encode("iso2022_jp")[3:-3] + b"\x1b(B go", "\u65e5\u672c go"),
        ("C_STRING", "caf\u00e9".encode(), "caf\u00e9"),
    ],
)
def test_title_is_read_whatever_type_it_has(screen, xserver, kind, value, title):
    window = screen.window(0, 0, 64, 48, title="")
    window.change_property(screen.display.intern_atom("WM_NAME"), screen.display.intern_atom(kind), 8, value)
    screen.display.sync()
    env = ScreenGameEnv(
        replace(game(""), launch=Launch(), window=Window(f"^{title}$"), readings=(), rewards=()), display=xserver
    )
    env.reset()
    assert env.session.look().window.window == window.id
    env.close()
    window.destroy()
    screen.display.sync()


@pytest.mark.skipif(shutil.which("xterm") is None, reason="needs xterm (scripts/system-packages.sh)")
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_title_of_a_real_xterm_is_read(xserver, locale):
    terminal = subprocess.Popen(
        ["xterm", "-T", "Gr\u00f6\u00dfe", "-e", "sleep", "60"],
        env={"DISPLAY": xserver, "LC_ALL": locale, "PATH": "/usr/bin:/bin"},
    )
    profile = replace(
        game(""), launch=Launch(), window=Window("^Gr\u00f6\u00dfe$", timeout=10.0), readings=(), rewards=()
    )
    env = ScreenGameEnv(profile, display=xserver)
    env.reset()
    env.close()
    terminal.kill()
    terminal.wait()
