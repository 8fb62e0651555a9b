"""The parts of benchmarks/archive.py: a module each, with `run(folder, size)`, which returns figures."""
