"""An episode's movie plays again exactly: the same pictures, and the same memory at its end."""

import zipfile

import gymnasium as gym
import numpy as np
import pytest

helpers = pytest.importorskip("tests.retro.helpers")
from hakisa_algos.cli.main import main  # noqa: E402
from hakisa_envs.retro.emulator import MOVIE_ORIGIN  # noqa: E402
from hakisa_envs.retro.errors import MovieError  # noqa: E402
from hakisa_envs.retro.movie import open_movie, pads_of_movie, replay  # noqa: E402


def memory(emulator):
    blocks = emulator._data.memory.blocks
    return b"".join(blocks[at] for at in sorted(blocks))


def play(env, generator, last):
    """Random play: pictures, and the memory at the end."""
    emulator, pictures, ended = env.unwrapped._fight.open(), [], False
    while not ended:
        *_, ended, _, _ = env.step(int(generator.integers(72)))
        pictures.append(env.render())
        ended = ended or len(pictures) == last
    return pictures, memory(emulator)


@pytest.fixture(scope="module")
def episode(tmp_path_factory):
    """A match of some rounds, from a state that was restored in its midst, too: movies, pictures, memory."""
    folder = tmp_path_factory.mktemp("movies")
    env = gym.make(
        "hakisa_envs:Hakisa/Fighter-v0",
        movies=folder, episode="match", actions="macros", states="rusher.hard.left", sticky=0.1,
        render_mode="rgb_array",
    )  # fmt: skip
    env.reset(seed=3)
    whole = play(env, np.random.default_rng(1), 10_000)
    env.reset(seed=4)
    play(env, np.random.default_rng(2), 20)
    env.unwrapped.set_state(env.unwrapped.get_state())
    resumed = play(env, np.random.default_rng(3), 30)
    env.close()
    names = ("rusher.hard.left-000001", "resumed-000001")
    assert sorted(path.stem for path in folder.iterdir()) == sorted([*names, "rusher.hard.left-000002"])
    return {folder / f"{name}.bk2": play for name, play in zip(names, (whole, resumed), strict=True)}


def test_a_replay_is_the_same_in_pictures_and_memory(episode):
    for path, (pictures, ram) in episode.items():
        left = iter(pictures)
        awaited = next(left)
        for shown in replay(path):  # of which the agent saw every fourth, about
            if awaited is not None and (shown == awaited).all():
                awaited = next(left, None)
        assert awaited is None
        with open_movie(path) as emulator:
            for pads in pads_of_movie(path, emulator):
                emulator.hold(pads[0])
                emulator.advance()
            assert memory(emulator) == ram


def test_a_film_of_it(episode, tmp_path, capsys):
    film = tmp_path / "match.mp4"
    assert main(["retro", "replay", str(list(episode)[1]), "--out", str(film)]) == 0
    assert film.read_bytes()[4:8] == b"ftyp"


def test_movies_of_other_roms_torn_ones_and_what_is_none_are_refused(episode, tmp_path, capsys):
    whole = next(iter(episode))
    foreign, plain, torn = (tmp_path / f"{name}.bk2" for name in ("foreign", "plain", "torn"))
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(foreign, "w") as new, zipfile.ZipFile(plain, "w") as stated:
        for name in old.namelist():
            content = old.read(name)
            if name == MOVIE_ORIGIN:
                new.writestr(name, content.replace(b'"rom_sha1": "', b'"rom_sha1": "f'))
            else:
                stated.writestr(name, content)
                new.writestr(name, content)
    torn.write_bytes(whole.read_bytes()[:1000])
    for path, says in ((foreign, "rom_sha1 'f"), (plain, "does not say"), (torn, "no movie"), (tmp_path, "no movie")):
        with pytest.raises(MovieError, match=says):
            next(replay(path))
    assert main(["retro", "replay", str(torn), "--out", str(tmp_path / "a.mp4")]) == 2
    assert "torn.bk2" in capsys.readouterr().err


def test_stable_retro_plays_it_too(episode):
    """Its Movie finds the game, the state and the keys."""
    import stable_retro

    movie = stable_retro.Movie(str(next(iter(episode))))
    assert movie.get_game() == helpers.GAME
    assert len(movie.get_state()) > 100_000
    pressed = 0
    while movie.step():
        pressed += sum(movie.get_key(button, 0) for button in range(12))
    assert pressed > 100


def test_two_envs_share_a_folder(tmp_path):
    envs = [gym.make("hakisa_envs:Hakisa/Fighter-v0", movies=tmp_path, observation="ram") for _ in range(2)]
    for env in envs:
        env.reset(seed=1)
        env.step(0)
    for env in envs:
        env.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mixed.normal.left-000001.bk2",
        "mixed.normal.left-000002.bk2",
    ]
    assert all(zipfile.is_zipfile(path) for path in tmp_path.iterdir())
