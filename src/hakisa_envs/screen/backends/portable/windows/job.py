"""A program in a job of Windows: all that it starts is in it, and ends when the trainer's handle on it is closed."""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from ctypes import wintypes
from pathlib import Path
from typing import Any

from hakisa_envs.screen.errors import ProcessError

# winnt.h, and ntddk.h's suspending of whole processes, which debuggers use.
KILL_ON_CLOSE, BASIC_ACCOUNTING, PROCESS_LIST, EXTENDED_LIMITS = 0x2000, 1, 3, 9
CREATE_SUSPENDED, CREATE_NEW_PROCESS_GROUP = 0x4, 0x200
SUSPEND_RESUME, QUERY_LIMITED = 0x0800, 0x1000
PROCESSES = 1024  # that a job is asked for
STOP_S = 3.0


class BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = [
        ("PerProcessUserTimeLimit", ctypes.c_int64), ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", wintypes.DWORD), ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t), ("ActiveProcessLimit", wintypes.DWORD),
        ("Affinity", ctypes.c_size_t), ("PriorityClass", wintypes.DWORD), ("SchedulingClass", wintypes.DWORD),
    ]  # fmt: skip


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = [
        ("BasicLimitInformation", BasicLimits), ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t), ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t), ("PeakJobMemoryUsed", ctypes.c_size_t),
    ]  # fmt: skip


class Accounting(ctypes.Structure):
    """JOBOBJECT_BASIC_ACCOUNTING_INFORMATION."""

    _fields_ = [
        ("Times", ctypes.c_int64 * 4), ("TotalPageFaultCount", wintypes.DWORD), ("TotalProcesses", wintypes.DWORD),
        ("ActiveProcesses", wintypes.DWORD), ("TotalTerminatedProcesses", wintypes.DWORD),
    ]  # fmt: skip


class ProcessList(ctypes.Structure):
    """JOBOBJECT_BASIC_PROCESS_ID_LIST."""

    _fields_ = [
        ("NumberOfAssignedProcesses", wintypes.DWORD), ("NumberOfProcessIdsInList", wintypes.DWORD),
        ("ProcessIdList", ctypes.c_size_t * PROCESSES),
    ]  # fmt: skip


class Kernel:
    """kernel32 and ntdll, with the types that 64 bits need."""

    def __init__(self) -> None:
        load = vars(ctypes)["WinDLL"]
        self.kernel32: Any = load("kernel32", use_last_error=True)
        self.ntdll: Any = load("ntdll")
        handle = wintypes.HANDLE
        for name, result, arguments in (
            ("CreateJobObjectW", handle, (ctypes.c_void_p, wintypes.LPCWSTR)),
            ("OpenProcess", handle, (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)),
            ("SetInformationJobObject", wintypes.BOOL, (handle, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD)),
            ("QueryInformationJobObject", wintypes.BOOL,
             (handle, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD, ctypes.c_void_p)),
            ("AssignProcessToJobObject", wintypes.BOOL, (handle, handle)),
            ("IsProcessInJob", wintypes.BOOL, (handle, handle, ctypes.c_void_p)),
            ("TerminateJobObject", wintypes.BOOL, (handle, wintypes.UINT)),
            ("CloseHandle", wintypes.BOOL, (handle,)),
        ):  # fmt: skip
            function = getattr(self.kernel32, name)
            function.restype, function.argtypes = result, arguments
        for name in ("NtSuspendProcess", "NtResumeProcess"):
            getattr(self.ntdll, name).argtypes = (handle,)


class JobProgram:
    """See `hakisa_envs.screen.backends.protocols.Program`.

    Args:
        kernel: The system's libraries.
        popen: What starts a process.

    Raises:
        ProcessError: If it could not be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        folder: str | None,
        log: Path | None,
        kernel: Any = None,
        popen: Any = subprocess.Popen,
    ) -> None:
        kernel = kernel or Kernel()
        self._kernel32, self._ntdll = kernel.kernel32, kernel.ntdll
        self._job = self._kernel32.CreateJobObjectW(None, None)
        limits = ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = KILL_ON_CLOSE
        if not self._job or not self._kernel32.SetInformationJobObject(
            self._job, EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
        ):
            if self._job:
                self._kernel32.CloseHandle(self._job)
            raise ProcessError(f"{list(argv)} failed: Windows makes no job for it.")
        try:
            with open(log, "ab") if log else contextlib.nullcontext(subprocess.DEVNULL) as output:
                # Suspended: what it started before it was in the job would not be in it.
                self._process = popen(
                    list(argv),
                    env=dict(environment),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    creationflags=CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP,
                )
        except (OSError, ValueError) as error:
            self._kernel32.CloseHandle(self._job)
            raise ProcessError(f"{list(argv)} failed: {error}.") from error
        self.pid: int = self._process.pid
        handle = int(self._process._handle)
        if not self._kernel32.AssignProcessToJobObject(self._job, handle):
            self._process.kill()
            self._kernel32.CloseHandle(self._job)
            raise ProcessError(f"{list(argv)} failed: Windows lets it into no job.")
        self._ntdll.NtResumeProcess(handle)

    def exit_code(self) -> int | None:
        """None while it runs, or what it started does; then its exit status."""
        code: int | None = self._process.poll()
        return None if code is None or self._count() else code

    def pause(self) -> None:
        """Suspend it, and all that it started."""
        for handle in self._handles():
            self._ntdll.NtSuspendProcess(handle)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        for handle in self._handles():
            self._ntdll.NtResumeProcess(handle)

    def stop(self) -> None:
        """End it and all that it started."""
        if self._job:
            self._kernel32.TerminateJobObject(self._job, 1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
            self._kernel32.CloseHandle(self._job)
            self._job = None

    def holds(self, pid: int) -> bool:
        """Whether a process is it or was started by it."""
        handle = self._kernel32.OpenProcess(QUERY_LIMITED, False, pid) if self._job else None
        if not handle:
            return False
        inside = wintypes.BOOL()
        try:
            return bool(self._kernel32.IsProcessInJob(handle, self._job, ctypes.byref(inside)) and inside.value)
        finally:
            self._kernel32.CloseHandle(handle)

    def _count(self) -> int:
        if not self._job:
            return 0
        said = Accounting()
        self._kernel32.QueryInformationJobObject(
            self._job, BASIC_ACCOUNTING, ctypes.byref(said), ctypes.sizeof(said), None
        )
        return int(said.ActiveProcesses)

    def _handles(self) -> Iterator[int]:
        """Of all processes in the job, each open while it is handed out."""
        said = ProcessList()
        if not self._job:
            return
        self._kernel32.QueryInformationJobObject(self._job, PROCESS_LIST, ctypes.byref(said), ctypes.sizeof(said), None)
        for pid in said.ProcessIdList[: said.NumberOfProcessIdsInList]:
            handle = self._kernel32.OpenProcess(SUSPEND_RESUME, False, pid)
            if handle:
                try:
                    yield handle
                finally:
                    self._kernel32.CloseHandle(handle)
