"""The KuaiHL network of the paper, section III-B, and a linear model beside it."""
