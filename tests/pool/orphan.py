"""``python orphan.py FOLDER``: a pool whose two workers wait for ever; its process is killed by the test."""

import sys
from pathlib import Path

from hakisa_algos.pool.pool import Pool

sys.path.insert(0, str(Path(__file__).parents[2]))

if __name__ == "__main__":
    from tests.pool.tasks import reports_and_waits

    Pool(2).map(reports_and_waits, [Path(sys.argv[1])] * 2)
