"""What is learned: the KuaiHL network, its losses, data sets, training, evaluation and bundles."""
