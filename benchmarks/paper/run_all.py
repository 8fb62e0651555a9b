"""Everything in this folder with the same options, one after the other: in the quick setting ten minutes on two cores.

python benchmarks/paper/run_all.py [--setting quick] [--work paper-runs]
"""

import subprocess
import sys
from pathlib import Path

SCRIPTS = ("table1.py", "table2.py", "table3.py", "figures.py")


def main() -> None:
    for name in SCRIPTS:
        subprocess.run([sys.executable, str(Path(__file__).parent / name), *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
