#!/usr/bin/env python3
"""Compacts the same input with lakewarden, DuckDB and chDB in turn, and prints what each run took.

One command does it all: it builds lakewarden, makes the input, gets the peers from PyPI, runs everyone in
turn, reads back what they wrote, and prints a table in Markdown. docs/BENCHMARKS.md tells what the figures
mean. Only Linux has the accounts that it reads.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import lake
import machine
import measure
import peers
from measure import MEGABYTE, Usage
from prepare import BENCHES, DATASET_POLICY, REPOSITORY, Input, lakewarden, python_with_peers, say

OURS = "lakewarden"
CONTESTANTS = (OURS, *peers.FORMS)
BY_DEFAULT = (OURS, "duckdb", "duckdb-one-thread", "chdb")


@dataclass
class Run:
    """One measured run, and what it wrote."""

    contestant: str
    usage: Usage
    startup_cpu: float
    version: str
    written: dict

    @property
    def cpu(self) -> float:
        """Without what a peer's interpreter took to start and to load the engine."""
        return self.usage.cpu - self.startup_cpu

    def as_json(self) -> dict:
        return {
            "contestant": self.contestant,
            "version": self.version,
            "startup_cpu": self.startup_cpu,
            **self.usage.as_json(),
            "written": self.written,
        }


class Bench:
    """Everything that the runs have in common."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.work = arguments.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.program = lakewarden(arguments.lakewarden)
        self.python = python_with_peers(self.work)
        self.input = wanted_input(arguments)
        self.filled = self.input.prepare(self.program, self.work)

    def run(self, contestant: str) -> Run:
        """Runs one contestant in a folder of its own and checks what it wrote."""
        folder = self.work / "runs" / contestant
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run = self.run_ours(folder) if contestant == OURS else self.run_peer(contestant, folder)
        if not self.arguments.keep:
            shutil.rmtree(folder)
        return run

    def run_ours(self, folder: Path) -> Run:
        copy = folder / "lake"
        lake.copy_by_links(self.filled.folder, copy, DATASET_POLICY)
        command = [str(self.program), "run", "--dir", str(copy), "--now", lake.NOW, "--output", "json"]
        if self.arguments.memory:
            command += ["--memory", self.arguments.memory]
        over_http = self.arguments.over_http
        with lake.Server(self.program, copy) if over_http else nullcontext() as server:
            if over_http:
                command += ["--endpoint", server.endpoint]
            usage = measure.run(command, folder, lake.CREDENTIALS)
        counts = json.loads(usage.stdout)["datasets"]["cart"]
        written = self.check(lake.table_files(copy))
        if counts["written"] != self.filled.events or written["descents"] > 0:
            raise SystemExit(f"{OURS} did not do its work: {counts}, {written}")
        return Run(OURS, usage, 0.0, machine.first_line(self.program, "--version"), written)

    def run_peer(self, contestant: str, folder: Path) -> Run:
        source, out = lake.raw_folder(self.filled.folder), folder / "out"
        temporary = folder / "temporary"
        for wanted in (out, temporary):
            wanted.mkdir()
        command = [self.python, BENCHES / "peers.py", contestant, source, out, temporary]
        usage = measure.run([str(part) for part in command], folder)
        told = json.loads(usage.stdout)
        written = self.check(sorted(out.rglob("*.parquet")))
        return Run(contestant, usage, told["startup_cpu"], told["version"], written)

    def check(self, files: list[Path]) -> dict:
        done = subprocess.run(
            [self.python, BENCHES / "check.py"],
            input=json.dumps([str(file) for file in files]),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        written = json.loads(done.stdout)
        if written["rows"] != self.filled.events:
            raise SystemExit(f"{written['rows']} rows were written of {self.filled.events} events")
        return written


def wanted_input(arguments: argparse.Namespace) -> Input:
    return Input(
        files=arguments.files * arguments.scale,
        events_per_file=arguments.events_per_file,
        days=arguments.days,
        seed=arguments.seed,
        gigabytes=arguments.gigabytes,
    )


def rounds(bench: Bench) -> list[Run]:
    """A warm-up that does not count, then everyone in turn, as often as was asked for."""
    runs = []
    count = bench.arguments.rounds
    for number in range(0 if bench.arguments.warm_up else 1, count + 1):
        for contestant in bench.arguments.only:
            run = bench.run(contestant)
            name = f"round {number} of {count}" if number else "warm-up"
            say(
                f"{name}: {contestant}: {run.cpu:.2f} CPU-s, {run.usage.wall:.2f} s, "
                f"{run.usage.peak_memory / MEGABYTE:.0f} MB"
            )
            if number:
                runs.append(run)
    return runs


def refuse_different_rows(runs: list[Run]) -> None:
    """Everyone must have written the same events on the same days."""
    found = {(run.written["digest"], *run.written["rows_by_date"].items()): run.contestant for run in runs}
    if len(found) > 1:
        raise SystemExit(f"the contestants wrote different rows: {found}")


def report(bench: Bench, described: dict[str, str], runs: list[Run]) -> str:
    by_contestant = {name: [run for run in runs if run.contestant == name] for name in bench.arguments.only}
    filled = bench.filled
    lines = [f"- {name}: {value}" for name, value in described.items()]
    lines += [f"- {name}: {found[0].version}" for name, found in by_contestant.items() if name != OURS]
    lines += [
        f"- input: {filled.events:,} events, {filled.objects:,} objects, {filled.bytes / MEGABYTE:,.0f} MB",
        f"- {bench.arguments.rounds} rounds; other programs kept "
        f"{100 * statistics.mean(run.usage.other_cpu_share for run in runs):.0f} % of the machine busy",
        "",
        "| | CPU-seconds | wall, s | peak memory, MB | temporary files, MB | written, MB | files | descents "
        "| lakewarden's CPU to this |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    ours = [run.cpu for run in by_contestant.get(OURS, [])]
    for name, found in by_contestant.items():
        cpu = [run.cpu for run in found]
        written = found[0].written
        cells = [
            name,
            spread(cpu, 2),
            spread([run.usage.wall for run in found], 2),
            spread([run.usage.peak_memory / MEGABYTE for run in found], 0),
            f"{max(run.usage.peak_temporary for run in found) / MEGABYTE:.0f}",
            f"{written['bytes'] / MEGABYTE:.1f}",
            str(written["files"]),
            str(max(run.written["descents"] for run in found)),
            f"{statistics.median(ours) / statistics.median(cpu):.2f}" if ours and name != OURS else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: list[float], digits: int) -> str:
    """The median and, in brackets, the least and the greatest."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    option = parser.add_argument
    option("--work", type=Path, default=REPOSITORY / "target" / "bench", help="where everything is kept")
    option("--lakewarden", type=Path, help="a built program, instead of building one")
    option("--rounds", type=int, default=5)
    option("--warm-up", action=argparse.BooleanOptionalAction, default=True, help="a round that does not count")
    option("--only", type=contestants, default=BY_DEFAULT, help=f"of {','.join(CONTESTANTS)}")
    option("--files", type=int, default=1000)
    option("--events-per-file", type=int, default=500)
    option("--days", type=int, default=3, help="from 1 to 28")
    option("--seed", type=int, default=1)
    option("--scale", type=int, default=1, help="so many times the files")
    option("--gigabytes", type=float, help="repeat the input under other keys, until it is that large")
    option("--memory", help="lakewarden's memory setting, such as 400MB")
    option("--over-http", action="store_true", help="the S3 server in a process of its own")
    option("--keep", action="store_true", help="keep what the last run of each wrote, under runs/")
    option("--json", type=Path, help="write every run's figures to this file")
    return parser.parse_args()


def contestants(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in CONTESTANTS:
            raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(CONTESTANTS)}")
    return names


def main() -> None:
    bench = Bench(parse_arguments())
    described = machine.describe(bench.program, bench.arguments.lakewarden is None, bench.work)
    runs = rounds(bench)
    refuse_different_rows(runs)
    if bench.arguments.json:
        figures = {"machine": described, "input": vars(bench.input), "runs": [run.as_json() for run in runs]}
        bench.arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(report(bench, described, runs))


if __name__ == "__main__":
    try:
        main()
    except measure.RunFailed as failure:
        sys.exit(str(failure))
