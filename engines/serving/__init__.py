"""Many live rooms in one process over one set of models (docs/serving.md)."""
