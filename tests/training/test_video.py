"""Videos: what is written can be played, small frames are enlarged, and ffmpeg's death is a clear error."""

import re
import subprocess
import sys

import numpy as np
import pytest

from hakisa_algos.errors import ConfigError, MissingExtraError, VideoError
from hakisa_algos.training.video import VideoWriter


def frames(count, height, width):
    for index in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[index % height, :, 0] = 255
        yield frame


def decode(path):
    """Frame count, width, height and pixel format, as ffmpeg itself reads the file."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "null", "-"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    width, height = map(int, re.search(r"Video: h264.*?, (\d+)x(\d+)", said).groups())
    return int(re.findall(r"frame=\s*(\d+)", said)[-1]), width, height, "yuv420p" in said


@pytest.mark.parametrize(
    ("size", "becomes"),
    [((84, 84), (504, 504)), ((210, 160), (420, 320)), ((33, 51), (496, 766)), ((721, 301), (722, 302))],
)
def test_every_frame_is_in_the_file_at_a_size_to_watch(tmp_path, size, becomes):
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "videos" / "a.mp4"
    with VideoWriter(path, fps=15) as video:
        for frame in frames(12, *size):
            video.add(frame)
    count, width, height, plays_everywhere = decode(path)
    assert (count, height, width) == (12, *becomes)
    assert plays_everywhere


def test_frames_need_not_be_contiguous_and_close_may_be_called_twice(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    video = VideoWriter(tmp_path / "a.mp4")
    for frame in frames(3, 40, 80):
        video.add(frame.transpose(1, 0, 2)[::-1])
    video.close()
    video.close()
    assert decode(tmp_path / "a.mp4")[0] == 3


def test_without_a_frame_there_is_no_file(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    with VideoWriter(tmp_path / "a.mp4"):
        pass
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
    ],
)
def test_what_is_no_frame_is_named(tmp_path, frame):
    pytest.importorskip("imageio_ffmpeg")
    with VideoWriter(tmp_path / "a.mp4") as video, pytest.raises(ConfigError, match="height, width, 3"):
        video.add(frame)


def test_a_change_of_size_is_named_and_the_file_still_finished(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    with VideoWriter(tmp_path / "a.mp4") as video:
        video.add(np.zeros((20, 20, 3), np.uint8))
        with pytest.raises(ConfigError, match="the first was"):
            video.add(np.zeros((20, 22, 3), np.uint8))
    assert decode(tmp_path / "a.mp4")[0] == 1


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_the_frame_rate_must_be_positive(tmp_path, fps):
    with pytest.raises(ConfigError, match="fps"):
        VideoWriter(tmp_path / "a.mp4", fps)


def test_a_target_that_cannot_be_written_is_told_with_what_ffmpeg_said(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "a.mp4").mkdir()

    def write():
        with VideoWriter(tmp_path / "a.mp4") as video:
            for frame in frames(200, 200, 200):
                video.add(frame)

    with pytest.raises(VideoError, match=r"a\.mp4.*directory"):
        write()


def test_a_killed_ffmpeg_is_an_error_and_no_hang(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    video = VideoWriter(tmp_path / "a.mp4")
    frame = np.zeros((400, 400, 3), np.uint8)
    video.add(frame)
    video._process.kill()
    video._process.wait()
    with pytest.raises(VideoError, match="gave up"):
        video.add(frame)
    video.close()


def test_an_ffmpeg_killed_at_the_end_is_an_error(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    video = VideoWriter(tmp_path / "a.mp4")
    video.add(np.zeros((20, 20, 3), np.uint8))
    video._process.kill()
    with pytest.raises(VideoError, match="code -9"):
        video.close()


def test_without_imageio_ffmpeg_it_is_an_install_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingExtraError, match=r'^pip install "hakisa\[video\]"$'):
        VideoWriter(tmp_path / "a.mp4")
