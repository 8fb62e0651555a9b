"""Many live rooms over one set of models (docs/serving.md)."""
