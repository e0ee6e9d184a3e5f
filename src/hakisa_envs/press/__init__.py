"""``Hakisa/Press-v0``: a tiny game with a known optimum, to test and benchmark conditional actions."""

from hakisa_envs.press.env import PressEnv
from hakisa_envs.press.vector import PressVectorEnv

__all__ = ["PressEnv", "PressVectorEnv"]
