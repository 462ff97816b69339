"""Where lakewarden's time goes: by what is being done, and by function, as `perf` found it."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import measure

SAMPLES_A_SECOND = 499
# How much of the stack is kept with a sample, in bytes.
STACK = 16384
LEAST_SHARE = 0.01

# What is being done → what the stack then has in it. The first that is found counts.
PHASES = {
    "rows read back: fingerprints": r"decode::row_fingerprints",
    "rows read back: Parquet": r"table_files::read_back|ParquetRecordBatch",
    "encoding Parquet": r"ArrowWriter|arrow_writer|GenericColumnWriter",
    "sorting: runs put in order": r"sort::run::Sorted|sort::key",
    "sorting: runs written and read": r"run::Run|StreamWriter|StreamReader",
    "sorting: merging": r"SortPreservingMerge|BatchBuilder|sort::merge|conform",
    "events: fingerprints": r"decode::fingerprint",
    "events: columns": r"EventColumns|decode::columns|StructColumn",
    "events: framing and parsing": r"Records|decode::scan|decode::tape|Document",
    "events: time, identity, the rest": r"compaction::(admit|rows|intake|duplicates|positions)|decode::",
    "the S3 server in the process": r"s3s|embedded|serve",
    "the S3 client": r"aws_|hyper|fetch",
}


def profile(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Runs `command` under perf; two Markdown tables of CPU time, the kernel's included."""
    recording = folder / "perf.data"
    record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_A_SECOND)]
    record += ["--call-graph", f"dwarf,{STACK}", "-o", str(recording)]
    measure.run([*record, "--", *command], folder, environment)
    # Resolving inlined functions would take minutes and tell nothing more here.
    listing = ["perf", "script", "--no-inline", "-F", "ip,sym", "-i", str(recording)]
    done = subprocess.run(listing, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    stacks = [stack for stack in done.stdout.split("\n\n") if stack.strip()]
    phases = Counter(phase_of(stack) for stack in stacks)
    functions = Counter(innermost(stack) for stack in stacks)
    return f"{table('phase', phases)}\n\n{table('function', functions)}"


def phase_of(stack: str) -> str:
    return next((phase for phase, pattern in PHASES.items() if re.search(pattern, stack)), "anything else")


def innermost(stack: str) -> str:
    return stack.strip().split("\n")[0].strip().split(" ", 1)[-1]


def table(what: str, counts: Counter[str]) -> str:
    total = counts.total()
    rows = [
        f"| {name} | {count / SAMPLES_A_SECOND:.2f} | {count / total:.1%} |"
        for name, count in counts.most_common()
        if count >= LEAST_SHARE * total
    ]
    return "\n".join([f"| {what} | CPU-seconds | share |", "|---|---|---|", *rows])
