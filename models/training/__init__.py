"""A data set and a plan in, a trained network out."""
