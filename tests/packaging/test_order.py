"""The longest files of the suite are begun first."""

from pathlib import Path

from tests.conftest import LONGEST, place

TESTS = Path(__file__).parents[1]


def test_each_of_the_longest_files_is_there_and_comes_before_all_others():
    paths = sorted(TESTS.rglob("test_*.py"), key=place)
    assert [path.relative_to(TESTS).as_posix() for path in paths[: len(LONGEST)]] == list(LONGEST)
