"""What a person meets: the `kuaihl` command, one module a sub-command."""
