"""The learned part: the KuaiHL network, its losses, data sets, training, evaluation and bundles."""
