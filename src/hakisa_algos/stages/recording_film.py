"""Films the game's window while it is recorded, without making the recorder wait."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

from hakisa_algos.training.video import VideoWriter
from hakisa_envs.screen.image import Pixels, to_rgb

# A picture of 1080p takes 8 MB.
_WAITING = 16


class Film:
    """Writes frames to an mp4 in a thread of its own: handing 6 MB to ffmpeg takes longer than a step can spare.

    Args:
        path: the mp4.
        rate: frames per second.

    Attributes:
        repeated: frames for which there was no time; the one before is shown in their place, so that the film has a
            frame for every row.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self._video = VideoWriter(path, rate, live=True)
        self._frames: queue.Queue[tuple[int, Pixels | None]] = queue.Queue(_WAITING)
        self._missing = self.repeated = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="film", daemon=True)
        self._thread.start()

    def add(self, pixels: Pixels) -> None:
        """Append a frame, BGRA, that nobody writes to; it never waits.

        Raises:
            VideoError: ffmpeg gave up.
        """
        self._raise()
        try:
            self._frames.put_nowait((self._missing, pixels))
            self._missing = 0
        except queue.Full:
            self._missing += 1
            self.repeated += 1

    def close(self) -> None:
        """The film is complete afterwards.

        Raises:
            VideoError: ffmpeg gave up, or did not finish.
        """
        self._frames.put((self._missing, None))
        self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        try:
            with self._video:
                shown: Pixels | None = None
                while True:
                    missing, pixels = self._frames.get()
                    for _ in range(missing):  # never before the first, which finds the queue empty
                        assert shown is not None
                        self._video.add(shown)
                    if pixels is None:
                        return
                    shown = to_rgb(pixels)
                    self._video.add(shown)
        except BaseException as error:
            self._error = error
            while self._frames.get()[1] is not None:  # whoever closes must not wait for ever
                pass
