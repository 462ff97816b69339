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

import hotspots
import lake
import machine
import measure
import peers
from measure import MEGABYTE, Usage
from prepare import BENCHES, DATASET_POLICY, REPOSITORY, Input, lakewarden, python_with_peers, say

OURS = "lakewarden"
CONTESTANTS = (OURS, *peers.FORMS)


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
        self.program = lakewarden(arguments.lakewarden, with_symbols=arguments.profile)
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
        copy, command = self.fresh_lake(folder)
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

    def fresh_lake(self, folder: Path) -> tuple[Path, list[str]]:
        """A lake of which nothing is compacted yet, and the command that does it."""
        copy = folder / "lake"
        lake.copy_by_links(self.filled.folder, copy, DATASET_POLICY, self.arguments.memory)
        return copy, [str(self.program), "run", "--dir", str(copy), "--now", lake.NOW, "--output", "json"]

    def profile_ours(self) -> str:
        """A run that is not measured."""
        folder = self.work / "runs" / "profile"
        shutil.rmtree(folder, ignore_errors=True)
        _, command = self.fresh_lake(folder)
        found = hotspots.profile(command, folder, lake.CREDENTIALS)
        shutil.rmtree(folder)
        return found

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


def rounds(bench: Bench) -> dict[str, list[Run]]:
    """A warm-up that does not count, then everyone in turn, as often as was asked for. A peer that fails
    is out from then on."""
    runs: dict[str, list[Run]] = {contestant: [] for contestant in bench.arguments.only}
    count = bench.arguments.rounds
    for number in range(0 if bench.arguments.warm_up else 1, count + 1):
        for contestant in list(runs):
            label = f"round {number} of {count}: {contestant}" if number else f"warm-up: {contestant}"
            try:
                run = bench.run(contestant)
            except measure.RunFailed as failure:
                if contestant == OURS:
                    raise
                say(f"{label}: out, {failure}")
                del runs[contestant]
                continue
            say(
                f"{label}: {run.cpu:.2f} CPU-s, {run.usage.wall:.2f} s, "
                f"{run.usage.peak_memory / MEGABYTE:.0f} MB"
            )
            if number:
                runs[contestant].append(run)
    return runs


def refuse_different_rows(runs: dict[str, list[Run]]) -> None:
    """Everyone must have written the same events on the same days."""
    found = {}
    for contestant, measured in runs.items():
        for run in measured:
            found[run.written["digest"], *run.written["rows_by_date"].items()] = contestant
    if len(found) > 1:
        raise SystemExit(f"the contestants wrote different rows: {found}")


COLUMNS = (
    "",
    "CPU-seconds",
    "wall, s",
    "peak memory, MB",
    "temporary files, MB",
    "written, MB",
    "files",
    "rows out of order",
    "lakewarden's CPU to its",
)


def report(bench: Bench, described: dict[str, str], runs: dict[str, list[Run]]) -> str:
    cpu = {name: statistics.median(run.cpu for run in measured) for name, measured in runs.items()}
    ours = cpu.get(OURS)
    lines = head(bench, described, runs)
    lines += ["", f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    for name, measured in runs.items():
        ratio = f"{ours / cpu[name]:.2f}" if ours and name != OURS else ""
        lines.append(f"| {' | '.join([name, *cells(measured), ratio])} |")
    rivals = {name: seconds for name, seconds in cpu.items() if name != OURS}
    if ours and rivals:
        best = min(rivals, key=rivals.__getitem__)
        lines += ["", f"lakewarden's CPU is {ours / rivals[best]:.2f} times that of the best peer, {best}."]
    return "\n".join(lines)


def head(bench: Bench, described: dict[str, str], runs: dict[str, list[Run]]) -> list[str]:
    filled = bench.filled
    versions = {measured[0].version for name, measured in runs.items() if name != OURS}
    others = statistics.mean(run.usage.other_cpu_share for measured in runs.values() for run in measured)
    lines = [f"- {name}: {value}" for name, value in described.items()]
    lines += [f"- {version}" for version in sorted(versions)]
    size = filled.bytes / MEGABYTE
    lines.append(f"- input: {filled.events:,} events, {filled.objects:,} objects, {size:,.0f} MB")
    lines.append(f"- {bench.arguments.rounds} rounds; other programs took {100 * others:.0f} % of the machine")
    return lines


def cells(measured: list[Run]) -> list[str]:
    written = measured[0].written
    return [
        spread([run.cpu for run in measured], 2),
        spread([run.usage.wall for run in measured], 2),
        spread([run.usage.peak_memory / MEGABYTE for run in measured], 0),
        f"{max(run.usage.peak_temporary for run in measured) / MEGABYTE:.0f}",
        f"{written['bytes'] / MEGABYTE:.1f}",
        str(written["files"]),
        str(max(run.written["descents"] for run in measured)),
    ]


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
    option("--only", type=contestants, default=CONTESTANTS, help=f"some of {','.join(CONTESTANTS)}")
    option("--files", type=int, default=1000)
    option("--events-per-file", type=int, default=500)
    option("--days", type=int, default=3, help="from 1 to 28")
    option("--seed", type=int, default=1)
    option("--scale", type=int, default=1, help="so many times the files")
    option("--gigabytes", type=float, help="repeat the input under other keys, until it is that large")
    option("--memory", help="`memory` of lake.yaml, such as '400 MB'")
    option("--over-http", action="store_true", help="the S3 server in a process of its own")
    option("--keep", action="store_true", help="keep what the last run of each wrote, under runs/")
    option("--profile", action="store_true", help="then show where lakewarden's time goes, by perf")
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
        all_runs = [run.as_json() for measured in runs.values() for run in measured]
        figures = {"machine": described, "input": vars(bench.input), "runs": all_runs}
        bench.arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(report(bench, described, runs))
    if bench.arguments.profile:
        print(f"\nwhere lakewarden's time goes:\n\n{bench.profile_ours()}")


if __name__ == "__main__":
    try:
        main()
    except measure.RunFailed as failure:
        sys.exit(str(failure))
