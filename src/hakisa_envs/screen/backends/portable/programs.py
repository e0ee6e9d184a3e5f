"""The programs that an env launches, where there is no keeper of Linux: each has a runner, or a job of Windows."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hakisa_envs.screen.backends.portable.windows.job import JobProgram
from hakisa_envs.screen.backends.protocols import START_S
from hakisa_envs.screen.errors import ProcessError

FOLDER = "hakisa-"
STOP_S = 3.0  # a runner gives its program half a second to end by itself
MOST_WORDS = 500  # of an error, which may quote a whole command

Launch = Callable[[Sequence[str], Mapping[str, str], "str | None", "Path | None"], "RunProgram | JobProgram"]


class RunProgram:
    """A program in a session of its own, with a runner beside it that ends it when the trainer dies.

    See `hakisa_envs.screen.backends.protocols.Program`.

    Raises:
        ProcessError: If it could not be started.
    """

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], folder: str | None, log: Path | None
    ) -> None:
        runner = Path(__file__).with_name("runner.py")
        try:
            self._runner = subprocess.Popen(
                [sys.executable, "-I", "-S", str(runner), str(os.getpid()), str(log or os.devnull), *argv],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=True,  # a Ctrl+C in the terminal is the trainer's to handle
                text=True,
            )
        except (OSError, ValueError) as error:  # what no program can be given; a folder that is not there
            raise ProcessError(f"{list(argv)} failed: {str(error)[:MOST_WORDS]}.") from error
        word, _, rest = self._line(START_S).partition(" ")
        if word != "pid":
            self._runner.wait(STOP_S)
            self._close_pipe()
            raise ProcessError(f"{list(argv)} failed: {rest.strip() or 'its runner did not start'}.")
        self.pid = int(rest)
        self._code: int | None = None

    def exit_code(self) -> int | None:
        """None while it runs, or what it started does; then its exit status, negative if a signal ended it."""
        if self._code is None and self._runner.poll() is not None:
            word, _, rest = self._line(0.0).partition(" ")
            self._code = int(rest) if word == "code" else -signal.SIGKILL
        return self._code

    def pause(self) -> None:
        """Stop it, and all that it started."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and all that it started; returns when they are gone."""
        self._runner.terminate()
        try:
            self._runner.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._runner.kill()
            self._runner.wait()
        self._signal(signal.SIGKILL)  # if its runner was killed
        self.exit_code()
        self._close_pipe()

    def holds(self, pid: int) -> bool:
        """Whether a process is it or was started by it, and has made no session of its own."""
        with contextlib.suppress(OSError):
            return os.getsid(pid) == self.pid
        return False

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended; macOS says so by the second
            os.killpg(self.pid, number)

    def _close_pipe(self) -> None:
        assert self._runner.stdout is not None
        self._runner.stdout.close()

    def _line(self, timeout: float) -> str:
        assert self._runner.stdout is not None
        if self._runner.stdout.closed or not select.select([self._runner.stdout], [], [], timeout)[0]:
            return ""
        return self._runner.stdout.readline().strip()


class PortablePrograms:
    """See `hakisa_envs.screen.backends.protocols.Programs`."""

    def __init__(self) -> None:
        self._launch: Launch = JobProgram if sys.platform == "win32" else RunProgram
        self._programs: list[RunProgram | JobProgram] = []
        self._folders: list[Path] = []
        self._closed = False

    def launch(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: str | None = None,
        log: Path | None = None,
    ) -> RunProgram | JobProgram:
        """Start a program with this whole environment.

        Raises:
            ProcessError: If it could not be started, or everything is closed.
        """
        if self._closed:
            raise ProcessError("The env is closed, and with it everything that it launched; call reset().")
        program = self._launch(argv, environment, folder, log)
        self._programs.append(program)
        return program

    def launched(self, pid: int) -> bool:
        """Whether a process is one that was launched, or was started by one."""
        return any(program.holds(pid) for program in self._programs)

    def is_stopped(self, pid: int) -> bool:
        """Whether a process was stopped, as by SIGSTOP; Windows does not tell, but such a game answers nothing."""
        if sys.platform == "win32" or (ps := shutil.which("ps")) is None:
            return False
        done = subprocess.run([ps, "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return done.stdout.strip().startswith("T")

    def make_folder(self) -> Path:
        """A new folder among the temporary files; if the trainer is killed it stays there."""
        folder = Path(tempfile.mkdtemp(prefix=FOLDER))
        self._folders.append(folder)
        return folder

    def close(self) -> None:
        """End everything that was launched and wait for it; may be called twice."""
        self._closed = True
        for program in self._programs:
            program.stop()
        self._programs.clear()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
