"""The modules of live games are imported where there is no Linux, and say what is missing."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hakisa_envs.screen

ROOT = Path(hakisa_envs.screen.__file__).parent
# Beside the folder of back ends: what the one of X11 is made of.
X11 = {"display.py", "keeper.py", "processes.py"}

# What Windows lacks; a module that is imported there must do without.
ELSEWHERE = """
import json, sys
for name in {missing}:
    sys.modules[name] = None
sys.platform = "{platform}"
import hakisa_envs.screen.env, hakisa_envs.screen.probe
from hakisa_envs.screen.backends.choice import make_backend
backend = make_backend(None)
import hakisa_envs.screen.backends.portable.server
env = hakisa_envs.screen.env.ScreenGameEnv("flash")
print(json.dumps([backend.name, env.display, backend.untested]))
"""


@pytest.mark.parametrize(
    ("platform", "missing", "name"),
    [("win32", ["fcntl", "pwd", "grp", "resource", "termios", "tty", "pty"], "Windows"), ("darwin", [], "macOS")],
)
def test_modules_are_imported_where_there_is_no_linux(platform, missing, name):
    # Gymnasium first: it is not ours to be tried.
    code = "import gymnasium, numpy, multiprocessing.context, subprocess, selectors, shutil, tempfile\n" + ELSEWHERE
    code = code.format(platform=platform, missing=missing)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["portable", "current", name]


def test_only_back_ends_ask_which_system_this_is():
    asking = {
        path.relative_to(ROOT)
        for path in ROOT.rglob("*.py")
        if re.search(r"sys\.platform|os\.name\b|platform\.system", path.read_text(encoding="utf-8"))
    }
    assert {path.as_posix() for path in asking if path.parts[0] != "backends"} <= X11


def test_input_server_imports_no_numpy():
    """It would be most of the time that it starts in, while keys may be down."""
    code = (
        "import sys, types\n"
        "package = types.ModuleType('hakisa_envs')\n"  # as it is started: Gymnasium needs NumPy
        f"package.__path__ = [{str(ROOT.parent)!r}]\n"
        "sys.modules['hakisa_envs'] = package\n"
        "import hakisa_envs.screen.backends.portable.server\n"
        "print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
