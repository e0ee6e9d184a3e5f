"""Frames to an mp4, one at a time, through the ffmpeg program that imageio-ffmpeg brings."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import numpy as np

from hakisa_algos.errors import ConfigError, VideoError, require

_MIN_HEIGHT = 480
_FINISH_SECONDS = 120.0


def check_video_path(path: Path) -> None:
    """Refuses a name that no player would open: a ConfigError."""
    if path.suffix.lower() != ".mp4":
        raise ConfigError(f"the video {path} is an mp4: give it a name that ends in .mp4")


class VideoWriter:
    """Writes RGB frames to an H.264 mp4 that every browser plays (extra ``video``).

    Frames are handed to ffmpeg as they come, so a video of any length needs no memory. Small frames are
    enlarged by a whole number until they are about 480 pixels high, with sharp edges: games of 84 or 210 lines
    can then be watched. The file is complete only after ``close``; use it as a context manager.

    Args:
        path: the mp4 to write; its folder is made, an existing file is replaced.
        fps: frames per second of play, more than 0.
        live: what is filmed must not be disturbed: encode with a third of the work, a larger file, and let all else
            go first.

    Raises:
        MissingExtraError: imageio-ffmpeg is not installed.
        ConfigError: ``fps`` is not positive, or the name does not end in .mp4.
    """

    def __init__(self, path: Path | str, fps: float = 30.0, live: bool = False) -> None:
        if not fps > 0:
            raise ConfigError(f"fps is {fps}; it must be more than 0; use 30, or the rate of the env")
        self.path, self.fps, self._live = Path(path), fps, live
        check_video_path(self.path)
        self._program: str = require("imageio_ffmpeg", "video").get_ffmpeg_exe()
        self._shape: tuple[int, ...] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        # A file, not a pipe: nobody reads while frames are written, and a full pipe would stop ffmpeg.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (open until close())

    def add(self, frame: np.ndarray) -> None:
        """Append a frame, ``[height, width, 3]`` uint8 RGB, of the same size as the first.

        Raises:
            ConfigError: not such a frame.
            VideoError: ffmpeg gave up.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ConfigError(
                f"frame is {frame.dtype} {list(frame.shape)}; a video takes uint8 [height, width, 3], RGB, as "
                "render_mode='rgb_array' gives"
            )
        if self._process is None:
            self._shape = frame.shape
            self._process = self._start(*frame.shape[:2])
        elif frame.shape != self._shape:
            raise ConfigError(f"frame is {list(frame.shape)}, the first was {list(self._shape or ())}; keep one size")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data)
        except BrokenPipeError as error:
            process, self._process = self._process, None
            raise self._failure(process, "gave up") from error

    def close(self) -> None:
        """Finish the file. Without a frame there is none. A second call does nothing.

        Raises:
            VideoError: ffmpeg failed, or did not finish within two minutes.
        """
        process, self._process = self._process, None
        try:
            if process is not None:
                process.communicate(timeout=_FINISH_SECONDS)  # a broken pipe is passed over: the code tells of it
                if process.returncode:
                    raise self._failure(process, f"ended with code {process.returncode}")
        except subprocess.TimeoutExpired:
            assert process is not None
            raise self._failure(process, "did not finish") from None
        finally:
            self._said.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _start(self, height: int, width: int) -> subprocess.Popen[bytes]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        zoom = max(1, round(_MIN_HEIGHT / height))
        # yuv420p, the one format that every player takes, halves the colour planes: both sides must be even.
        filters = f"scale=iw*{zoom}:ih*{zoom}:flags=neighbor,pad=ceil(iw/2)*2:ceil(ih/2)*2"
        command = [
            self._program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
            "-s", f"{width}x{height}", "-r", str(self.fps), "-i", "-", "-an", "-vf", filters,
            "-c:v", "libx264", "-preset", "ultrafast" if self._live else "medium", "-pix_fmt", "yuv420p",
            "-crf", "20", "-movflags", "+faststart", "-f", "mp4", str(self.path),
        ]  # fmt: skip
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._said,
                start_new_session=True,  # Ctrl+C is for us: we finish the file
            )  # fmt: skip
            if self._live:
                os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + 5)
            return process
        except OSError as error:
            raise VideoError(
                f"ffmpeg ({self._program}) cannot be started: {error}; install it again: "
                'pip install --force-reinstall "hakisa[video]"'
            ) from error

    def _failure(self, process: subprocess.Popen[bytes], what: str) -> VideoError:
        """The error, with ffmpeg's own last words; ffmpeg is gone afterwards."""
        process.kill()
        process.communicate()  # closes the pipe, whatever is left in it
        self._said.seek(0)
        words = self._said.read()[-500:].decode(errors="replace").strip() or "nothing"
        return VideoError(f"ffmpeg {what} while writing {self.path}; it said: {words}; check the disk and the path")
