"""`python -m fewshot`: the command line where a module is asked for, as by torchrun."""

from fewshot.cli import main

main(prog_name="fewshot")
