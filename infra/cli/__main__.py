"""`python -m infra.cli` is the `matakite` command."""

from infra.cli import main

main()
