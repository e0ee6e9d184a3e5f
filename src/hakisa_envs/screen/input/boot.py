"""How a process of ours is started that must be up soon."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# `python -m MODULE`, but without running hakisa_envs/__init__.py: importing Gymnasium would make up three quarters of
# the 0.4 s that a server takes to start, and keys may be down when one is replaced.
BOOT = """
import runpy, sys, types
package = types.ModuleType("hakisa_envs")
package.__path__ = [sys.argv.pop(1)]
sys.modules["hakisa_envs"] = package
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""
PACKAGE = Path(__file__).parents[2]


def server_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours as a server."""
    # -P, and no empty path: not from the folder that the trainer happens to run in.
    return [sys.executable, "-P", "-c", BOOT, str(PACKAGE), module, *arguments]


def server_environment() -> dict[str, str]:
    """In which it finds what this process finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
