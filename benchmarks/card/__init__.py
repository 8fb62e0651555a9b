"""The parts of `benchmarks/gpu.py`: what is measured on a card, each beside the card's own limits."""
