"""The command line: each file here is one command group; it parses, calls the package, and prints."""

import os

from fewshot.cli.main import main

# torch's idle threads give their core to the workers that decode, instead of spinning; must be said before torch loads
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = ["main"]
