"""The environments of this package, as Gymnasium ids.

Entry points are strings, so registering imports no emulator and no image library, and an id such as
``hakisa_envs:Hakisa/Pong-v0`` can be made in a child process that was spawned and knows nothing yet.
"""

from __future__ import annotations

from gymnasium.envs.registration import EnvSpec, registry

SPECS = (
    EnvSpec(
        id="Hakisa/Press-v0",
        entry_point="hakisa_envs.press.env:PressEnv",
        vector_entry_point="hakisa_envs.press.vector:PressVectorEnv",
        # No max_episode_steps: its last target ends the episode, and how many there are is an option.
    ),
    EnvSpec(
        id="Hakisa/Pong-v0",
        entry_point="hakisa_envs.atari.pong:PongEnv",
        vector_entry_point="hakisa_envs.atari.pong_vector:make_pong_vec",
        # 30 minutes at 60 frames/s and 4 frames a step, the field's limit (Machado et al., 2018).
        max_episode_steps=27_000,
    ),
    EnvSpec(
        id="Hakisa/StreetFighter2-v0",
        entry_point="hakisa_envs.retro.street_fighter.env:StreetFighter2Env",
        vector_entry_point="hakisa_envs.retro.street_fighter.env:make_street_fighter_vec",
        # No max_episode_steps: the game's own timer ends every round.
    ),
    EnvSpec(
        id="Hakisa/Fighter-v0",
        entry_point="hakisa_envs.retro.street_fighter.env:StreetFighter2Env",
        vector_entry_point="hakisa_envs.retro.street_fighter.env:make_street_fighter_vec",
        kwargs={"game": "HakisaFighter-Genesis-v0"},
    ),
    EnvSpec(
        id="Hakisa/PokemonEmerald-v0",
        entry_point="hakisa_envs.retro.pokemon.env:PokemonEmeraldEnv",
        vector_entry_point="hakisa_envs.retro.pokemon.env:make_pokemon_vec",
        # No max_episode_steps: how long an episode is is an option.
    ),
    EnvSpec(
        id="Hakisa/Monsters-v0",
        entry_point="hakisa_envs.retro.pokemon.env:PokemonEmeraldEnv",
        vector_entry_point="hakisa_envs.retro.pokemon.env:make_pokemon_vec",
        kwargs={"game": "HakisaMonsters-GbAdvance-v0"},
    ),
    EnvSpec(
        id="Hakisa/PokemonRed-v0",
        entry_point="hakisa_envs.retro.pokemon.env:PokemonRedEnv",
        vector_entry_point="hakisa_envs.retro.pokemon.env:make_red_vec",
    ),
    EnvSpec(
        id="Hakisa/ScreenGame-v0",
        entry_point="hakisa_envs.screen.env:ScreenGameEnv",
        vector_entry_point="hakisa_envs.screen.env:make_screen_vec",
        # It runs in real time, and no seed reaches the game.
        nondeterministic=True,
    ),
    EnvSpec(
        id="Hakisa/Replay-v0",
        # Recordings are read by what reads all stored rows; this package alone has no need of it.
        entry_point="hakisa_algos.stages.replay:ReplayEnv",
    ),
)


def register_all() -> None:
    """Add every id to Gymnasium's registry; may be called any number of times.

    An id that is already there, be it ours or one that the user put in its place, is left alone.
    """
    for spec in SPECS:
        registry.setdefault(spec.id, spec)
