"""Everything in this folder with the same options: ten minutes on two cores in the quick setting.

python benchmarks/paper/run_all.py [--setting quick] [--work paper-runs]

All runs come first, seed by seed over all tables. So the count of runs left covers everything, and an interrupted night
leaves whole seeds.
"""

import figures
import table1
import table2
import table3
from experiment import runs_of_all
from setting import arguments


def main() -> None:
    work, _, setting = arguments(__doc__)
    runs_of_all([*table1.SYSTEMS, *table2.ROWS, *table2.BY_ALL_PAIRS, *table3.VARIANTS], work, setting)
    for part in (table1, table2, table3, figures):
        part.main()


if __name__ == "__main__":
    main()
