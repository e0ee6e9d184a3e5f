"""What stands in a profile and means nothing, or something else than was meant."""

import tomllib

import pytest

from hakisa_envs.screen.errors import ProfileError
from hakisa_envs.screen.profile import load_profile, parse_profile

BASE = """
[window]
title = "Game"
[reading.bar]
kind = "brightness"
"""


def step(do, more):
    return f'[[reset]]\ndo = "{do}"\n{more}\n'


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (step("look", ""), r"reset\[0\] looks for nothing\. Give it an until"),
        (step("look", "seconds = 2"), r"reset\[0\] looks for nothing"),
        (step("press", 'key = "a"\nseconds = 2'), r"reset\[0\]\.seconds = 2\.0 must be 0, as only do = \"wait\""),
        (step("wait", "seconds = 0"), r"reset\[0\]\.seconds = 0\.0 must be more than 0"),
        (step("press", 'key = "a"\nagain = 0.3'), r"reset\[0\]\.again = 0\.3 has no until"),
        (step("wait", "seconds = 1\nagain = 1"), r"reset\[0\]\.again = 1\.0 has no until"),
        (step("move", "by = [0, 0]"), r"reset\[0\]\.by = \[0, 0\] moves nothing"),
        (step("type", 'text = "a\\u0000"'), r"reset\[0\]\.text = 'a\\x00' holds '\\x00', which no key types"),
        (step("type", 'text = "\\u001b"'), r"holds '\\x1b'.*do = \"press\""),
        (step("press", 'key = "U0041"'), "'U0041' is on every layout together with Shift only.*without it, 'a'"),
        (step("press", 'key = "0x41"'), "without it, 'a'"),
        (step("press", 'key = "Adiaeresis"'), "without it, 'adiaeresis'"),
        (step("press", 'key = "F36"'), "There is no key 'F36': names are those of X keysyms"),
        (step("press", 'key = "a"\nuntil = "BAR > 1"'), "'BAR' is no reading, did you mean 'bar'"),
        (step("press", 'key = "a"\nuntil = "bar > 1e400"'), "1e400 is larger than any number that can be read"),
        ('[[end]]\nwhen = "bar > 1_000"\n', r"'1_000' is no reading\. A number is written as 3, -\.5 or 1e3"),
        ('[[end]]\nwhen = "bar > 0x10"\n', r"'0x10' is no reading\. A number is"),
        ('[[end]]\nwhen = "bar < inf"\n', r"'inf' is no reading\. A number is"),
        ("seeded_by_clock = true\n", r"no field 'seeded_by_clock'\. It belongs under \[launch\]"),
        ("[observation]\nrate = 30\n", r"observation has no field 'rate'.*It belongs under \[actions\]"),
        ('[launch]\nreading = "bar"\n', r"It belongs under \[probe\] or \[\[reward\]\]"),
        ('[actions]\nCommands = ["noop"]\n', "did you mean 'commands'"),
    ],
)
def test_what_means_nothing_is_named_with_what_was_meant(tmp_path, more, match):
    text = f"{more}{BASE}" if more.startswith("seeded") else BASE + more
    with pytest.raises(ProfileError, match=match):
        parse_profile(tomllib.loads(text), tmp_path / "game.toml")


@pytest.mark.parametrize("key", ["exclam", "F35", "U00E4", "0x61", "adiaeresis"])
def test_keys_that_some_layout_has_are_left_to_the_layout(tmp_path, key):
    parse_profile(tomllib.loads(BASE + step("press", f'key = "{key}"')), tmp_path / "game.toml")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_file_in_utf_16_says_which_encoding_it_should_have(tmp_path, encoding):
    (tmp_path / "mine.toml").write_bytes(BASE.encode(encoding))
    with pytest.raises(ProfileError, match=r"mine\.toml is not TOML.*Save it in the encoding UTF-8"):
        load_profile(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    ("launch", "match"),
    [
        ('command = ["{python}", "g.py"]', r"command\[1\] = 'g\.py' lies beside.*its HOME.*Write '{profile}/g\.py'"),
        ('command = ["{python}", "./g.py"]', r"Write '{profile}/g\.py'"),
        ('command = ["sh", "-e", "sub/g.py"]', r"launch\.command\[2\].*Write '{profile}/sub/g\.py'"),
        ('command = ["sh", "g.py"]\nfolder = "sub/deep"', r"the game runs in 'sub/deep'.*Write '{profile}/g\.py'"),
        ('command = ["{python}", "./no.py"]\nfolder = "sub"', r"'\./no\.py' does not exist: .*/sub/no\.py"),
        ('command = ["{python}", "g.py"]\nfolder = "."', ""),
        ('command = ["{python}", "./g.py"]\nfolder = "sub"', ""),
        ('command = ["{python}", "g.py"]\nfiles = {"g.py" = "1"}', ""),
        ('command = ["{python}", "{profile}/g.py"]', ""),
        ('command = ["{python}", "-m", "g"]', ""),
    ],
)
def test_words_that_name_files_beside_the_profile(tmp_path, launch, match):
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "g.py").touch()
    (tmp_path / "sub" / "g.py").touch()
    table = tomllib.loads(f"[launch]\n{launch}\n{BASE}")
    if match:
        with pytest.raises(ProfileError, match=match):
            parse_profile(table, tmp_path / "game.toml")
    else:
        parse_profile(table, tmp_path / "game.toml")
