"""Everything in this folder, one after the other, with the same options: about half an hour on two cores.

python benchmarks/paper/run_all.py [--seeds 3] [--work paper-runs]
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
