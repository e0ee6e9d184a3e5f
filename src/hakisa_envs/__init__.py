"""Gymnasium environments of Hakisa. Importing this package registers their ids and does nothing else."""

from hakisa_envs.errors import MissingExtraError, UnknownOptionError
from hakisa_envs.registration import register_all
from hakisa_envs.spaces import ConditionalMultiDiscrete

__all__ = ["ConditionalMultiDiscrete", "MissingExtraError", "UnknownOptionError"]

register_all()
