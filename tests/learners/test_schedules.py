"""Schedules start at the value, end at 0 (or stay), and never leave the range."""

import pytest

from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.config import SHAPES, anneal


@pytest.mark.parametrize(
    ("shape", "at"),
    [("constant", [2, 2, 2, 2, 2]), ("linear", [2, 1.5, 1, 0.5, 0]), ("cosine", [2, 1 + 2**-0.5, 1, 1 - 2**-0.5, 0])],
)
def test_shapes(shape, at):
    assert [anneal(2.0, shape, progress) for progress in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx(at)


@pytest.mark.parametrize("shape", SHAPES)
def test_beyond_the_run_a_schedule_stays_where_it_ended(shape):
    assert anneal(2.0, shape, 1.7) == anneal(2.0, shape, 1.0)
    assert anneal(2.0, shape, -0.3) == anneal(2.0, shape, 0.0) == 2.0


def test_an_unknown_shape_is_refused():
    with pytest.raises(ConfigError, match=r"schedule 'lin' is unknown\. Did you mean 'linear'"):
        anneal(1.0, "lin", 0.0)
