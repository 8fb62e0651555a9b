"""The parts of `benchmarks/faults.py`: each module with a function `run` is one; `result.py` has the contract."""
