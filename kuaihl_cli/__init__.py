"""The user interface: the `kuaihl` command, one module per sub-command."""
