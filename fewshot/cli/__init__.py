"""The command line: each file here is one command group; it parses, calls the package, and prints."""

from fewshot.cli.main import main

__all__ = ["main"]
