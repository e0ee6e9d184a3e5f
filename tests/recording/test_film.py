"""The film of a recording never makes the recorder wait, and has a frame for every row all the same."""

import numpy as np
import pytest

from hakisa_algos.errors import ConfigError
from hakisa_algos.stages.recording_film import Film

from ..training.test_video import decode

pytest.importorskip("imageio_ffmpeg")
PICTURE = np.zeros((480, 640, 4), np.uint8)


def test_frames_that_ffmpeg_has_no_time_for_are_repeated(tmp_path):
    film = Film(tmp_path / "a.mp4", 30.0)
    for _ in range(200):  # faster than anything could encode them
        film.add(PICTURE)
    film.close()
    assert film.repeated > 0
    assert decode(tmp_path / "a.mp4")[0] == 200


def test_an_encoder_that_gives_up_is_an_error_and_nobody_waits_for_it(tmp_path):
    film = Film(tmp_path / "a.mp4", 30.0)
    film.add(PICTURE)
    film.add(PICTURE[:10])  # of another size
    with pytest.raises(ConfigError, match="keep one size"):
        film.close()
