"""Every fault an index is put through, and what came of it, as one JSON: crashes at every step, kills, damaged files.

    python scripts/index_faults.py --out benchmarks/findings/index_faults.json

The programs are those of the tests. The whole takes half an hour on two cores; what is lost is told, and is to be none.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ROOT / "tests" / "retrieval" / "faults"


def start(cache: Path, program: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, FAULTS / program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "FEWSHOT_CACHE": str(cache)},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stride", default="1", help="try every so many-th step")
    parser.add_argument("--kills", default="40", help="kills a command of each of three indexes, forked")
    parser.add_argument("--real", default="5", help="kills a command, of processes started anew")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        running = {
            f"every step: {way}": start(Path(cache), "index_crashes.py", "--stride", given.stride, "--way", way)
            for way in ("kill", "kill twice", "torn", "full disk")
        }
        kills = ("--fork", "--times", given.kills, "--lives", "3")
        running["killed at random times, forked"] = start(Path(cache), "index_kills.py", *kills)
        running["killed at random times, started anew"] = start(Path(cache), "index_kills.py", "--times", given.real)
        running["damaged files"] = start(Path(cache), "index_damage.py")
        found: dict = {name: json.loads(process.communicate()[0]) for name, process in running.items()}
    found["lost"] = sum(each["lost"] for each in found.values())
    given.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    sys.exit(1 if found["lost"] else 0)


if __name__ == "__main__":
    main()
