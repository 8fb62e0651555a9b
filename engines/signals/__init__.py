"""What is known of a segment at no cost beside words and pictures: `kuaihl.models.signals` names and standardises it."""
