"""`python -m orderbridge.cli`."""

from orderbridge.cli import main

main()
