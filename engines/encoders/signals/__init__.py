"""What is known of a segment at no cost beside words and pictures: measured here, named in `kuaihl.models.signals`."""
