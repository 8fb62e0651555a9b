"""Recordings and labels in, a data set in the KLive layout out."""
