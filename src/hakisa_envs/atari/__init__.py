"""``Hakisa/Pong-v0``: Atari Pong from pixels. Importing this needs no emulator; making one does."""

from hakisa_envs.atari.pong import PongEnv
from hakisa_envs.atari.pong_vector import PongVectorEnv, make_pong_vec

__all__ = ["PongEnv", "PongVectorEnv", "make_pong_vec"]
