"""`python -m kuaihl_cli` is the same as `kuaihl`."""

from kuaihl_cli.main import main

main()
