"""Where a program's time goes: the functions that `perf` found it in."""

import subprocess
from pathlib import Path

import measure

SAMPLES_A_SECOND = 499
LEAST_PERCENT = 0.8


def profile(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Runs `command` under perf and lists functions with their share of the CPU time, kernel included."""
    recording = folder / "perf.data"
    record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_A_SECOND), "-o", str(recording)]
    measure.run([*record, "--", *command], folder, environment)
    listing = ["perf", "report", "--stdio", "-F", "overhead,sym", "--percent-limit", str(LEAST_PERCENT)]
    done = subprocess.run(
        [*listing, "-i", str(recording)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    return "\n".join(line for line in done.stdout.splitlines() if line and not line.startswith("#"))
