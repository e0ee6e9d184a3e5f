import tomllib

import cv2
import numpy as np
import pytest

from hakisa_envs.screen.actions import ActionMap
from hakisa_envs.screen.conditions import Condition
from hakisa_envs.screen.errors import ProfileError
from hakisa_envs.screen.profile import builtin_games, load_profile, parse_profile
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.scoring import Scorer

BASE = """
[window]
title = "Game"
size = [1920, 1080]
[actions]
commands = ["noop", "tap", "hold", "release", "move", "left_click", "right_click", "button_tap", "button_hold",
            "button_release", "move_by", "wheel", "hold_only", "release_all"]
keys = ["Left", "a", "space"]
grid = [1920, 1080]
steps = [-5, 0, 5]
[reading.score]
kind = "brightness"
[reading.lives]
kind = "brightness"
"""


LAMPS = """kind = "lamps"
lit_low = [9, 9, 9]
lit_high = [9, 9, 9]
unlit_low = [0, 0, 0]
unlit_high = [0, 0, 0]
"""
BOTH = """kind = "lamps"
places = [[0, 0, 9, 9]]
lit_low = [100, 0, 0]
lit_high = [255, 60, 60]
unlit_low = [0, 0, 0]
"""

DIGITS = """kind = "digits"
region = [0, 0, 9, 9]
cell = 3
low = [0, 0, 0]
high = [9, 9, 9]
digits = "absent.txt"
"""


def profile(tmp_path, more="", base=BASE):
    return parse_profile(tomllib.loads(base + more), tmp_path / "game.toml")


@pytest.mark.parametrize("name", builtin_games())
def test_profiles_that_ship_load(name):
    assert load_profile(name).name == name


def test_file_is_loaded_and_named_in_errors(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(BASE)
    assert load_profile(path).name == "mine"
    path.write_text("[window")
    with pytest.raises(ProfileError, match=r"mine\.toml is not TOML"):
        load_profile(str(path))
    with pytest.raises(ProfileError, match="no such file"):
        load_profile(tmp_path / "other.toml")


@pytest.mark.parametrize("name", ["mine.toml", "digits.txt"])
def test_mark_that_begins_files_of_windows_editors_is_no_mistake(tmp_path, name):
    digits = (load_profile("lbreakout2").folder / "lbreakout2" / "digits.txt").read_text()
    reading = (
        'kind = "digits"\nregion = [0, 0, 64, 9]\ncell = 8\nlow = [1, 1, 1]\nhigh = [9, 9, 9]\ndigits = "digits.txt"\n'
    )
    for file, text in (("digits.txt", digits), ("mine.toml", f"{BASE}[reading.x]\n{reading}")):
        mark = "\ufeff" if file == name else ""
        (tmp_path / file).write_bytes((mark + text.replace("\n", "\r\n")).encode())
    assert load_profile(tmp_path / "mine.toml").name == "mine"


def test_file_in_another_encoding_says_which_one_it_should_have(tmp_path):
    for encoding in ("utf-16", "latin-1"):
        (tmp_path / "mine.toml").write_bytes(f'name = "\u00e4"\n{BASE}'.encode(encoding))
        with pytest.raises(ProfileError, match=r"mine\.toml is not TOML.*UTF-8"):
            load_profile(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (
            "[reading.lives]",
            "[reading.score]",
            r"line 13.*'\[reading\.score\]'.*each \[reading\.NAME\] has a name of its own",
        ),
        ("grid = [1920, 1080]", 'keys = ["a"]', r"line 9.*'keys = \[\"a\"\]'.*It is there already"),
        ("[reading.lives]", '[reward]\nreading="score"\n[[reward]]', r"'\[\[reward\]\]'.*It is there already"),
        ('title = "Game"', "title = Game", "'title = Game'.*Texts stand in quotes"),
        ('title = "Game"', r'title = "\d"', "In single quotes a backslash"),
        ("[window]", "[window]\ngrey = True", "true and false"),
        ("size = [1920, 1080]", "size = 1920 x 1080", r"line 4.*'size = 1920 x 1080'.*name = value"),
        ("[window]", "{window}", "A line is a"),
        ("[window]", "[window]\ntitle", "A line is a"),
        ("[window]", "[window]\ntimeout = .3", "digits on both sides of its point"),
        ("[window]", "[window]\ntimeout = 3.", "digits on both sides of its point"),
    ],
)
def test_what_is_no_toml_shows_the_line_and_says_what_it_should_be(tmp_path, old, new, match):
    (tmp_path / "mine.toml").write_text(BASE.replace(old, new, 1))
    with pytest.raises(ProfileError, match=rf"mine\.toml is not TOML: .*{match}"):
        load_profile(tmp_path / "mine.toml")


@pytest.mark.parametrize(("other", "refused"), [("t.png", True), ("copy.png", True), ("u.png", False)])
def test_two_readings_that_look_for_the_same_are_refused(tmp_path, other, refused):
    random = np.random.default_rng(0)
    for names in (("t.png", "copy.png"), ("u.png",)):
        picture = random.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        for name in names:
            cv2.imwrite(str(tmp_path / name), picture)
    reading = '[reading.{}]\nkind = "template"\npicture = "{}"\n'
    both = reading.format("won", "t.png") + reading.format("lost", other)
    if refused:
        with pytest.raises(ProfileError, match=r"reading\.lost\.picture = .* shows the same as reading\.won\.picture"):
            profile(tmp_path, both)
        both += "region = [0, 0, 99, 99]\n"
    assert len(profile(tmp_path, both).readings) == 4


@pytest.mark.parametrize("size", [(41, 10), (10, 31)])
def test_template_that_is_larger_than_the_window_can_never_be_seen_and_is_refused(tmp_path, size):
    cv2.imwrite(str(tmp_path / "t.png"), np.random.default_rng(0).integers(0, 256, (*size[::-1], 3)).astype(np.uint8))
    reading = '[reading.x]\nkind = "template"\npicture = "t.png"\n'
    window = '[window]\ntitle = "Game"\nsize = [40, 30]\n'
    with pytest.raises(ProfileError, match=rf"reading\.x\.picture, of {size[0]} x {size[1]} pixels.*window, 40 x 30"):
        profile(tmp_path, reading, window)
    open_size = profile(tmp_path, reading, '[window]\ntitle = "Game"\n')  # known only once the game runs
    assert open_size.outside(40, 30)[0].startswith("reading.x.picture")
    assert open_size.outside(41, 31) is None


def test_window_alone_is_a_profile_whose_agent_looks_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('[window]\ntitle = "Game"\nsize = [800, 600]\n')
    game = load_profile("mine.toml")
    assert ActionMap(game).describe([0, 0, 0], AREA) == "do nothing"
    assert game.screen_size == (800, 600)
    assert game.folder == tmp_path  # absolute, for the game runs in another folder


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ("[observaton]\n", "did you mean 'observation'"),
        ('[probe]\nkey = "a"\nreading = "score"\n', r"probe\.change is missing"),
        ('[probe]\nkey = "a"\nreading = "scor"\nchange = 1\n', r"probe\.reading = 'scor' is no reading.*'score'"),
        ('[probe]\nkey = "a"\nreading = "score"\nchange = 0\n', r"probe\.change = 0\.0 must lie between"),
        ('[probe]\nkey = ""\nreading = "score"\nchange = 1\n', r"probe\.key = '': There is no key ''"),
        ('[probe]\nkey = "Super_L"\nreading = "score"\nchange = 1\n', r"probe\.key = 'Super_L'.*must not be pressed"),
        ("[observation]\nsiez = [84, 84]\n", "did you mean 'size'"),
        ("[observation]\nsize = [84]\n", r"observation\.size = \[84\] must be a list of 2"),
        ("[observation]\ngrey = 1\n", "must be of type bool, not int"),
        ("[observation]\nstack = 0\n", r"observation\.stack = 0 must lie between"),
        ("[observation]\nregion = [1900, 0, 100, 100]\n", r"observation\.region.*inside the window, 1920 x 1080"),
        ('[reading.x]\nkind = "black"\nregion = [0, 1079, 2, 2]\n', r"reading\.x\.region.*inside the window"),
        (f"[reading.x]\n{LAMPS}places = [[0, 0, 9, 9], [1915, 0, 9, 9]]\n", r"reading\.x\.places\[1\].*inside the win"),
        (f"[reading.x]\n{LAMPS}places = [[0, 0, 9, 9], [0, 0, 9, 9]]\n", r"places\[1\] = .* same as .*places\[0\]"),
        (f"[reading.x]\n{BOTH}unlit_high = [100, 9, 9]\n", r"overlap: a lamp of .* \[100, 0, 0\] would be both"),
        (f"[reading.x]\n{BOTH}unlit_high = [255, 255, 255]\n", "overlap"),
        ("[screen]\nsize = [1280, 720]\n", r"screen\.size = \[1280, 720\] must be as large as the window, 1920 x 1080"),
        ('[reading.x]\nknd = "black"\n', "needs a kind"),
        ('[reading.x]\nkind = "blck"\n', r"did you mean 'black'\? There are"),
        ('[[rewards]]\nreading = "score"\n', r"did you mean 'reward'\? Its fields"),
        ('[[reward]]\nreading = "scoer"\n', "did you mean 'score'"),
        ('[[reward]]\nreading = "score"\non = "risee"\n', "did you mean 'rise'"),
        ('[[reward]]\nweight = 1.0\n', r"reward\[0\]\.reading is missing"),
        ('[[reward]]\nreading = "score"\nwhen = "livs > 1"\n', "did you mean 'lives'"),
        ('[[end]]\nwhen = "lives < 1"\noutcome = "lose"\n', "'lose' is not allowed, did you mean 'loss'"),
        (f"[reading.x]\n{DIGITS}", r"hakisa digits .*game\.toml x"),
        ('[[end]]\nwhen = "livs < 1"\n', "did you mean 'lives'"),
        ('[[end]]\nwhen = "lives is gone"\n', "no condition"),
        ('[[end]]\nwhen = "lives < 1 or scre > lives"\n', r"'scre' is no reading.*'score'"),
        ('[[end]]\nwhen = "lives < lifes"\n', r"'lifes' is no reading.*'lives'"),
        ('[[end]]\nwhen = "(lives < 1)"\n', "no brackets"),
        ('[reward]\nreading = "score"\n', r"reward must be a list of tables\. Write \[\[reward\]\]"),
        ('[end]\nwhen = "lives < 1"\n', r"end must be a list of tables\. Write \[\[end\]\]"),
        ('[reset]\ndo = "look"\n', r"Write \[\[reset\]\]"),
        ('[[start.steps]]\ndo = "look"\n', r"Write \[\[start\]\]"),
        ('[[launch]]\ncommand = ["game"]\n', r"launch.* must be a table\. Write \[launch\], and once only"),
        ('[[pause]]\nhow = "none"\n', r"Write \[pause\], and once only"),
        ('[[reading.x]]\nkind = "black"\n', r"Write \[reading\.x\], and once only"),
        ('[reading]\nx = "black"\n', r"reading\.x = 'black' must be a table\. Write \[reading\.x\]"),
        ('[reading."my score"]\nkind = "black"\n', r"'my score' is a name that.* Write \[reading\.my_score\]"),
        ('[reading.""]\nkind = "black"\n', "'' is a name that conditions cannot hold"),
        ('[reading.and]\nkind = "black"\n', "neither and nor or"),
        ('[reading.1e3]\nkind = "black"\n', "no number"),
        ('[reading."a.b"]\nkind = "black"\n', r"Write \[reading\.a_b\]"),
        ('[reading.a.b]\nkind = "black"\n', r"reading\.a needs a kind.*If a\.b is its name, put _"),
        ('[[reset]]\ndo = "press"\nkey = "a+a"\n', "name one key twice"),
        ('[[reset]]\ndo = "press"\nkey = "Prior+Page_Up"\n', "name one key twice"),
        ('[[reset]]\ndo = "press"\nkey = "+"\n', "its own key is 'plus'"),
        ('[[reset]]\ndo = "move"\nby = [0, 40000]\n', r"reset\[0\]\.by\[1\] = 40000 must lie between"),
        ('[observation]\ngrey = "true"\n', r"bool, not str\. It is true or false, without quotes"),
        ('[observation]\nstack = 2.0\n', r"int, not float\. It is a whole number"),
        ('[[reward]]\nreading = "score"\nweight = "1"\n', r"float, not str\. It is a number, without quotes"),
        (f'[[reward]]\nreading = "score"\nweight = 1{"0" * 400}\n', "must be of type float"),
        ('[[reset]]\ndo = "press"\nkey = "Alt_L+F4"\n', r"reset\[0\]\.key = 'Alt_L\+F4' is not allowed"),
        ('[[reset]]\ndo = "press"\nkey = "Shift_L+F12"\n', r"reset\[0\]\.key.*kill chord"),
        ('[[reset]]\ndo = "press"\nkey = "Shift_L+Retrun"\n', r"reset\[0\]\.key.*'Return'"),
        ('[[reset]]\ndo = "type"\n', "a text to type"),
        ('[[reset]]\ndo = "type"\ntext = "a"\nkey = "a"\n', r"\['key', 'text'\]"),
        ('[[reset]]\ndo = "move"\n', "a place or distance"),
        ('[[reset]]\ndo = "move"\nplace = [1, 1]\nby = [1, 1]\n', r"\['by', 'place'\]"),
        ('[[reset]]\ndo = "move"\nplace = [1, 1080]\n', "inside the window"),
        ('[[reset]]\ndo = "look"\nby = [1, 1]\n', "as its do says"),
        ('[[end]]\nwhen = "lives < 1"\nepisode = "life"\n', "no sort of episode"),
        ('[[end]]\nwhen = "lives < 1"\nsteps = 0\n', r"end\[0\]\.steps = 0 must lie between 1"),
        ('[[reward]]\nreading = "score"\nweight = nan\n', r"reward\[0\]\.weight = nan must lie between"),
        ('[[reward]]\nreading = "score"\nmost = -1.0\n', r"reward\[0\]\.most = -1\.0 must lie between"),
        ('[[reset]]\ndo = "pres"\n', "did you mean 'press'"),
        ('[[reset]]\ndo = "press"\n', "a key to press"),
        ('[[reset]]\ndo = "wait"\n', "seconds"),
        ('[[reset]]\ndo = "click"\nplace = [1920, 0]\n', "inside the window"),
        ('[[reset]]\ndo = "press"\nkey = "a"\ntimeout = -1\n', r"reset\[0\]\.timeout = -1\.0 must lie between 0"),
        ('[[reset]]\ndo = "press"\nkey = "a"\nhold_ms = -1\n', r"reset\[0\]\.hold_ms = -1\.0 must lie between 0"),
        ('[[reset]]\ndo = "press"\nkey = "Super_L"\n', r"reset\[0\]\.key = 'Super_L'.*must not be pressed"),
        ('[[start]]\ndo="wait"\nseconds=1\n[[start]]\ndo="press"\nkey="Retrun"\n', r"start\[1\]\.key.*'Return'"),
        ('[[reset]]\ndo = "press"\nkey = "Q"\n', r"reset\[0\]\.key = 'Q'.*without it, 'q', and hold 'Shift_L'"),
        ('[[reset]]\ndo = "press"\nkey = ","\n', r"reset\[0\]\.key = ','.*did you mean 'comma'"),
        ('[pause]\nhow = "key"\n', "pause.key"),
        ('[pause]\nhow = "stop"\n', "launches itself"),
        ('[launch]\nenvironment = {A = 1}\n', r"launch\.environment\.A = 1 must be of type str.*quotes"),
        ('[launch]\ncommand = "game -w"\n', r'must be a list\. Write \["game", "-w"\]'),
        ('[launch]\ncommand = [" "]\n', r"launch\.command\[0\] = ' ' must be a program"),
        ('[launch]\ncommand = ["sh", "a\\u0000"]\n', r"launch\.command\[1\].*NUL"),
        ('[launch]\ncommand = ["sh"]\nenvironment = {"A=B" = ""}\n', "'A=B' is no name of a variable"),
        ('[launch]\ncommand = ["sh"]\nenvironment = {"" = ""}\n', "'' is no name of a variable"),
        ('[launch]\ncommand = ["sh"]\nenvironment = {A = "\\u0000"}\n', r"environment\.A = .*NUL"),
        ('[launch]\ncommand = ["sh"]\nenvironment = {DISPLAY = ":5"}\n', r"DISPLAY = ':5' is set by.*display=':1'"),
        ('[launch]\ncommand = ["sh"]\nfiles = {a = "\\u20ac"}\n', r"'a' = '\u20ac' is no byte.*\\u00e2\\u0082\\u00ac"),
        ('[launch]\ncommand = ["sh"]\nfiles = {"a" = "", "a/b" = ""}\n', "'a' cannot be a file and .* of 'a/b'"),
        ('[launch]\nfolder = "/"\n', "says nothing of what to launch"),
        ('[launch]\nfiles = {"/etc/x" = ""}\n', r"launch\.files = '/etc/x' must be the path of a file below"),
        ('[launch]\nfiles = {"a/../../x" = ""}\n', r"launch\.files = 'a/\.\./\.\./x' must be"),
        ('[launch]\nfiles = {"" = ""}\n', r"launch\.files = '' must be"),
        ('[launch]\ncommand = ["./game"]\n', r"launch\.command\[0\] = '\./game' does not exist: .* /.*/game"),
        ('[launch]\ncommand = ["{python}", "{profile}/g.py"]\n', r"launch\.command\[1\].*there is no file /.*/g\.py"),
        ('[launch]\ncommand = ["sh", "{profil}/g"]\n', r"command\[1\].*meaning for {profil}, did you mean 'profile'"),
        ('[launch]\ncommand = ["sh"]\nenvironment = {A = "{Python}"}\n', r"A.*{Python}, did you mean 'python'"),
        (2 * '[[reward]]\nreading = "score"\n', r"reward\[1\] is the same as reward\[0\]\. It would be paid twice"),
        (2 * '[[end]]\nwhen = "lives < 1"\n', r"end\[1\] is the same as end\[0\]\. Leave one out"),
        ('[[end]]\nwhen = "lives<1"\noutcome = "win"\n[[end]]\nwhen = "lives < 1"\n', r"end\[1\] is the same"),
        ('[launch]\nfolder = "data"\n', r"launch\.folder = 'data' does not exist: there is no folder /.*/data"),
        ('[screen]\nwindow_manager = "./wm"\n', r"screen\.window_manager = '\./wm' does not exist"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_file_field_and_fix(tmp_path, more, match):
    with pytest.raises(ProfileError, match=match) as caught:
        profile(tmp_path, more)
    assert "game.toml" in str(caught.value)


def test_program_that_cannot_be_run_is_named(tmp_path):
    (tmp_path / "play").write_text("#!/bin/sh\n")
    with pytest.raises(ProfileError, match=r"launch\.command\[0\] = '\./play' cannot be run.*chmod \+x /"):
        profile(tmp_path, '[launch]\ncommand = ["./play"]\n')
    (tmp_path / "play").chmod(0o755)
    assert profile(tmp_path, '[launch]\ncommand = ["./play"]\n').launch.command == ("./play",)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('title = "Game"', 'title = "("', "regular expression"),
        ("size = [1920, 1080]", "size = [0, 1080]", r"window\.size\[0\] = 0 must lie between 1"),
        ("size = [1920, 1080]", "timeout = 0", r"window\.timeout = 0\.0 must lie between"),
        ('[window]\ntitle = "Game"\nsize = [1920, 1080]', "", "window is missing"),
        ('"Left"', '"Letf"', r"actions\.keys\[0\] = 'Letf'.*did you mean 'Left'"),
        ('"a", "space"', '"a", "A"', r"actions\.keys\[2\] = 'A'.*on every layout together with Shift.*'a'"),
        ('"Left"', '"F12"', "kill chord"),
        ('keys = ["Left", "a", "space"]', "keys = []", r"'tap' needs keys, but actions\.keys = \[\]"),
        (BASE[BASE.index("commands = [") : BASE.index("keys =")], 'commands = ["noop"]\n', "none of the commands.*tap"),
        ('"noop", ', '"noop", "noop", ', "none twice"),
        ('"wheel"', '"whel"', "did you mean 'wheel'"),
        ("grid = [1920, 1080]", "grid = [1921, 1080]", "one place per pixel"),
        ('"a", "space"', '"a", "Left"', r"actions\.keys\[2\] = 'Left' is the same as actions\.keys\[0\]"),
        ('"a", "space"', '"Prior", "Page_Up"', r"actions\.keys\[2\] = 'Page_Up' is the same as actions\.keys\[1\]"),
        ('"a", "space"', '"a", 1', r"actions\.keys\[2\] = 1 must be of type str.*quotes"),
        ("steps = [-5, 0, 5]", "steps = [5, 0, 5]", r"actions\.steps\[2\] = 5 is the same as actions\.steps\[0\]"),
        ("steps = [-5, 0, 5]", "steps = [99999]", r"actions\.steps\[0\] = 99999 must lie between -32767"),
        ("steps = [-5, 0, 5]", 'buttons = ["left", "left"]', r"actions\.buttons\[1\] = 'left' is the same"),
        ("[window]", 'episodes = ["life", "life"]\n[window]', r"episodes\[1\] = 'life' is the same as episodes\[0\]"),
        ("[window]", 'episodes = [""]\n[window]', "must all have names"),
        ("size = [1920, 1080]", 'size = "1920x1080"', r"must be a list of 2, such as \[1, 2\]"),
    ],
)
def test_mistakes_in_window_and_actions(tmp_path, old, new, match):
    assert old in BASE
    with pytest.raises(ProfileError, match=match):
        profile(tmp_path, base=BASE.replace(old, new))


def test_braces_are_the_programs_own_and_what_differs_is_not_there_twice(tmp_path):
    made = profile(
        tmp_path,
        """
[launch]
command = ["sh", "-c", "awk '{print}' ${HOME}"]
[[reward]]
reading = "score"
[[reward]]
reading = "score"
when = "lives rises"
[[end]]
when = "lives < 1"
[[end]]
when = "lives < 1"
steps = 3
""",
    )
    assert (len(made.rewards), len(made.ends)) == (2, 2)


AREA = Region(0, 0, 1920, 1080)


@pytest.mark.parametrize(
    ("action", "commands", "words"),
    [
        ([0, 9, 9], [], "do nothing"),
        ([1, 2, 0], [("tap", "space", 50.0)], "press space for 50 ms"),
        ([1, 4, 7], [("tap", "a", 50.0)], "press a for 50 ms"),  # wraps: 4 % 3
        ([2, 0, 0], [("hold", "Left")], "hold Left down"),
        ([3, 0, 0], [("release", "Left")], "release Left"),
        ([4, 1919, 1079], [("move", 1919, 1079)], "move the pointer to (1919, 1079)"),
        ([5, 0, 7], [("move", 0, 7), ("tap", "button1", 50.0)], None),
        ([6, 3, 4], [("move", 3, 4), ("tap", "button3", 50.0)], None),
        ([7, 0, 0], [("tap", "button1", 50.0)], "press the left button for 50 ms"),
        ([8, 1, 0], [("hold", "button3")], "hold the right button down"),
        ([9, 1, 0], [("release", "button3")], "release the right button"),
        ([10, 0, 2], [("move_by", -5, 5)], "move the mouse by (-5, 5)"),
        ([11, 0, 0], [("wheel", -1)], "turn the wheel down"),
        ([11, 1, 0], [("wheel", 1)], "turn the wheel up"),
        ([12, 1, 0], [("release", "Left"), ("release", "space"), ("hold", "a")], "hold a down and no other key"),
        (
            [13, 0, 0],
            [("release", name) for name in ("Left", "a", "space", "button1", "button3")],
            "let go of everything",
        ),
    ],
)
def test_every_command_does_what_it_says(tmp_path, action, commands, words):
    actions = ActionMap(profile(tmp_path))
    assert actions.commands(action, AREA) == commands
    if words is not None:
        assert actions.describe(action, AREA) == words


def test_full_resolution_and_every_point_of_the_space_works(tmp_path):
    actions = ActionMap(profile(tmp_path))
    assert actions.space.nvec.tolist() == [14, 1920, 1080]
    actions.space.seed(0)
    for _ in range(200):
        assert actions.describe(actions.space.sample(), AREA)
    places = [actions.place(column, 0, AREA)[0] for column in range(1920)]
    assert places == list(range(1920))


def test_coarse_grid_covers_the_observed_region(tmp_path):
    actions = ActionMap(profile(tmp_path, base=BASE.replace("grid = [1920, 1080]", "grid = [4, 2]")))
    area = Region(100, 50, 80, 40)
    assert actions.place(0, 0, area) == (110, 60)
    assert actions.place(3, 1, area) == (170, 80)


@pytest.mark.parametrize(
    ("text", "now", "before", "holds"),
    [
        ("a < 3", {"a": 2.0}, {}, True),
        ("a < 3", {"a": None}, {}, False),
        ("a >= -1.5 and b == 0", {"a": -1.5, "b": 0.0}, {}, True),
        ("a >= -1.5 and b == 0", {"a": -1.5, "b": None}, {}, False),
        ("a is unread", {"a": None}, {}, True),
        ("a is read", {"a": 0.0}, {}, True),
        ("a falls", {"a": 1.0}, {"a": 2.0}, True),
        ("a falls", {"a": 1.0}, {}, False),
        ("a falls", {"a": None}, {"a": 2.0}, False),
        ("a rises", {"a": 3.0}, {"a": 2.0}, True),
        ("a!=1", {"a": 2.0}, {}, True),
        ("a < b", {"a": 1.0, "b": 2.0}, {}, True),
        ("a < b", {"a": 1.0, "b": None}, {}, False),
        ("a==b", {"a": 1.0, "b": 1.0}, {}, True),
        ("3 > a", {"a": 2.0}, {}, True),
        ("a < .5", {"a": 0.4}, {}, True),
        ("a >= -.5", {"a": -0.5}, {}, True),
        ("a < 1e3", {"a": 999.0}, {}, True),
        ("a > 2.5E-1", {"a": 0.2}, {}, False),
        ("a == +1.", {"a": 1.0}, {}, True),
        ("1st < 2nd", {"1st": 1.0, "2nd": 2.0}, {}, True),
        ("a < 1 or b > 1", {"a": 2.0, "b": 2.0}, {}, True),
        ("a < 1 or b > 1", {"a": 2.0, "b": None}, {}, False),
        ("a is unread or b falls", {"a": 0.0, "b": 1.0}, {"b": 2.0}, True),
        ("a < 1 or b > 1 and c is read", {"a": 0.0, "b": 0.0, "c": None}, {}, True),
        ("a < 1 and b > 1 or c is read", {"a": 0.0, "b": 0.0, "c": None}, {}, False),
        ("my-score > 1 and do-or-die falls", {"my-score": 2.0, "do-or-die": 0.0}, {"do-or-die": 1.0}, True),
        ("low<-1 or low-end==-1", {"low": 0.0, "low-end": -1.0}, {}, True),
        ("order > 1 and land  is   read", {"order": 2.0, "land": 0.0}, {}, True),
    ],
)
def test_conditions(text, now, before, holds):
    assert Condition.parse(text).holds(now, before) is holds


@pytest.mark.parametrize(
    "text", ["", "a", "a <", "< 3", "1 < 2", "a ~ 3", "a < 3 or", "(a < 3)", "is read", "a < 1.e", "a < b < c"]
)
def test_what_is_no_condition(text):
    with pytest.raises(ValueError, match="no condition"):
        Condition.parse(text)


SCORED = """
[[reward]]
reading = "score"
on = "rise"
weight = 0.5
most = 100.0
[[reward]]
reading = "lives"
weight = 2.0
[[end]]
when = "lives falls"
episode = "life"
[[end]]
when = "lives < 1"
steps = 2
outcome = "loss"
"""


def scorer(tmp_path, episode):
    return Scorer(profile(tmp_path, SCORED, 'episodes = ["life", "game"]\n' + BASE), episode)


def test_rolling_counter_pays_its_whole_rise_and_no_reading_pays_nothing(tmp_path):
    judge = scorer(tmp_path, "game")
    judge.start({"score": 100.0, "lives": 3.0})
    seen = [120.0, None, 160.0, None, None, 200.0, 200.0]
    total = sum(sum(judge.step({"score": value, "lives": 3.0})[0].values()) for value in seen)
    assert total == 0.5 * 100


def test_misread_jump_and_fall_of_a_counter_pay_nothing(tmp_path):
    judge = scorer(tmp_path, "game")
    judge.start({"score": 100.0, "lives": None})
    assert judge.step({"score": 9100.0, "lives": None})[0]["score"] == 0.0
    assert judge.step({"score": 0.0, "lives": None})[0]["score"] == 0.0


def test_episode_ends_by_its_sort_and_after_enough_steps(tmp_path):
    life, game = scorer(tmp_path, "life"), scorer(tmp_path, "game")
    for judge in (life, game):
        judge.start({"score": 0.0, "lives": 2.0})
    parts, end = life.step({"score": 0.0, "lives": 1.0})
    assert end.episode == "life"
    assert parts == {"score": 0.0, "lives": -2.0}
    assert [game.step({"score": 0.0, "lives": v})[1] for v in (1.0, 0.0, None, 0.0)] == [None] * 4
    assert game.step({"score": 0.0, "lives": 0.0})[1].outcome == "loss"


def test_reward_pays_only_while_its_condition_holds(tmp_path):
    more = '[[reward]]\nreading = "score"\nweight = 2.0\nwhen = "lives > 0"\n'
    judge = Scorer(profile(tmp_path, more), "")
    judge.start({"score": 0.0, "lives": 1.0})
    seen = [(1.0, 1.0), (4.0, 0.0), (4.0, None), (5.0, None), (9.0, 2.0)]
    paid = [judge.step({"score": score, "lives": lives})[0]["score"] for score, lives in seen]
    assert paid == [2.0, 0.0, 0.0, 0.0, 8.0]


def test_mask_of_a_policy_sees_which_arguments_matter(tmp_path):
    sizes = ActionMap(profile(tmp_path)).space.sizes
    assert np.array_equal(sizes[:5], [[0, 0], [3, 0], [3, 0], [3, 0], [1920, 1080]])
