"""The report page of a run folder, and the index page over a batch's folders: data in, self-contained HTML out."""
