"""The benchmark of the recorder counts every event that is lost, whatever else was heard."""

import importlib
from pathlib import Path

import pytest

SENT = [
    (1000 * n, kind, key)
    for n, (kind, key) in enumerate([("press", "a"), ("release", "a"), ("press", "b"), ("release", "b")] * 5)
]
WITHIN = 2000


@pytest.fixture
def match(monkeypatch):
    pytest.importorskip("cv2")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("recorder").match


def late(events, by=3):
    return [(t + by, *of) for t, *of in events]


def test_what_is_heard_as_it_was_sent(match):
    assert match(SENT, late(SENT), WITHIN, 10**9) == ([3] * 20, 0, 0)


@pytest.mark.parametrize("number", [0, 7, 19])
def test_what_was_heard_twice_hides_no_loss(match, number):
    other = (number + 5) % 20
    heard = late([*SENT[:number], *SENT[number + 1 :], SENT[other]])
    errors, lost, extra = match(SENT, sorted(heard), WITHIN, 10**9)
    assert (len(errors), max(errors), lost, extra) == (19, 3, 1, 1)


def test_another_key_or_kind_is_not_the_same_event(match):
    for swapped in (("press", "b"), ("release", "a"), ("press", "c")):
        heard = late([(SENT[0][0], *swapped), *SENT[1:]])
        errors, lost, extra = match(SENT, heard, WITHIN, 10**9)
        assert (len(errors), lost, extra) == (19, 1, 1)


def test_what_came_after_the_end_counts_neither_way(match):
    assert match(SENT, late(SENT)[:10], WITHIN, SENT[9][0]) == ([3] * 10, 0, 0)
    assert match(SENT, late(SENT), WITHIN, SENT[9][0]) == ([3] * 10, 0, 0)
    assert match(SENT[:10], late(SENT)[:9], WITHIN, 10**9)[1:] == (1, 0)
