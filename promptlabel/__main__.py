"""`python -m promptlabel` is the command line."""

from promptlabel.cli import main

main()
