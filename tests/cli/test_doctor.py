"""``hakisa doctor``: works whatever is missing, and says how to mend it."""

import sys
from importlib import metadata

from hakisa_algos.cli import doctor
from hakisa_algos.cli.main import main


def test_names_versions_and_measures(capsys):
    assert main(["doctor", "--seconds", "0.02"]) == 0
    said = capsys.readouterr().out
    for name in ("gymnasium", "numpy", "torch", "ale-py"):
        assert f"{name} {metadata.version(name)}" in " ".join(said.split())
    assert "steps/s with random actions" in said
    assert "network acting" in said
    for extra in ("algos", "screen", "retro", "atari", "sb3", "tensorboard", "wandb", "video", "ray", "report"):
        assert f"\n  {extra} " in said


def test_a_missing_extra_comes_with_its_line(monkeypatch, capsys):
    version = metadata.version

    def without_wandb(name):
        if name == "wandb":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_wandb)
    assert main(["doctor", "--seconds", "0.02"]) == 0
    assert 'missing wandb: pip install "hakisa[wandb]"' in capsys.readouterr().out


def test_works_without_torch_and_emulator(monkeypatch, capsys):
    version = doctor._version
    absent = ("torch", "ale-py", "imageio-ffmpeg", "tyro", "rich")
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in absent else version(name))
    for module in ("torch", "tyro", "rich"):
        monkeypatch.setitem(sys.modules, module, None)
    assert main(["doctor", "--seconds", "0.02"]) == 0
    said = capsys.readouterr().out
    assert 'pip install "hakisa[algos]"' in said
    assert "CartPole-v1 x 8" in said
    assert "network acting" not in said
