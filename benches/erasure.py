#!/usr/bin/env python3
"""Erases the same people from copies of one lake with lakewarden, delta-rs and pyarrow in turn, and prints what
each took and wrote.

One command does it all: it builds lakewarden, makes the lake, gets the peers from PyPI, runs everyone in turn,
checks what is left, and prints tables in Markdown. docs/BENCHMARKS.md tells what the figures mean. Only Linux
has the accounts that it reads.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import lake
import machine
import measure
import payments
from compaction import spread
from measure import MEGABYTE, Usage
from prepare import BENCHES, REPOSITORY, lakewarden, python_with_peers, say

OURS = "lakewarden"
OURS_LINKED = "lakewarden, links followed"
DELTA_RS = "delta-rs"
CONTESTANTS = (OURS, DELTA_RS, "pyarrow")
MODULES = ("duckdb", "deltalake", "pyarrow")
ERASE = "erase"
VERIFY = "purge and verify"


@dataclass
class Traffic:
    """What the server's access log tells of one step: answered requests, and bytes of their bodies."""

    requests: int = 0
    read: int = 0
    written: int = 0
    copied: int = 0

    @classmethod
    def of(cls, access_log: Path) -> "Traffic":
        traffic = cls()
        for line in access_log.read_text().splitlines():
            method, _, status, received, sent, copied = line.split(" ")
            traffic.requests += 1
            if not status.startswith("2"):
                continue
            traffic.written += int(received)
            traffic.copied += int(copied)
            if method == "GET":
                traffic.read += int(sent)
        return traffic


@dataclass
class Step:
    """One thing that a contestant does, in one or more processes one after the other."""

    name: str
    usages: list[Usage]
    startup_cpu: float
    traffic: Traffic

    @property
    def cpu(self) -> float:
        """Without what a peer's interpreter took to start and to load the engine."""
        return sum(usage.cpu for usage in self.usages) - self.startup_cpu

    @property
    def wall(self) -> float:
        return sum(usage.wall for usage in self.usages)

    @property
    def peak_memory(self) -> int:
        return max(usage.peak_memory for usage in self.usages)

    def as_json(self) -> dict:
        return {
            "step": self.name,
            "startup_cpu": self.startup_cpu,
            "processes": [usage.as_json() for usage in self.usages],
            **asdict(self.traffic),
        }


@dataclass
class Run:
    """What one contestant did to one copy of the lake, and what was found afterwards."""

    contestant: str
    people: int
    version: str
    steps: list[Step]
    files_rewritten: int = 0
    bytes_in_them: int = 0
    named_in_log: int = 0

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def as_json(self) -> dict:
        return {**vars(self), "steps": [step.as_json() for step in self.steps]}


@dataclass
class Scenario:
    """Who is to be erased, and what the table held before."""

    people: list[str]
    before: list[dict] = field(default_factory=list)

    @property
    def title(self) -> str:
        return "one person" if len(self.people) == 1 else f"{len(self.people):,} people"

    @property
    def rows(self) -> int:
        return sum(file["of_people"] for file in self.before)

    @property
    def files_hit(self) -> int:
        return sum(1 for file in self.before if file["of_people"])


class Bench:
    """Everything that the runs have in common."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.work = arguments.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.program = lakewarden(arguments.lakewarden)
        self.python = python_with_peers(self.work, MODULES)
        self.input = wanted_input(arguments)
        self.input.refuse_if_impossible()
        self.lake = self.input.prepare(self.program, self.python, self.work, arguments.days_at_once)
        self.scenarios = [self.scenario(count) for count in arguments.subjects]
        files = self.scenarios[0].before
        self.row_group_rows = max(file["row_group_rows"] for file in files)
        self.bytes = sum(file["bytes"] for file in files)

    def scenario(self, count: int) -> Scenario:
        """The single person is none of the many."""
        numbers = range(1) if count == 1 else range(1, count + 1)
        scenario = Scenario([payments.user_id(number) for number in numbers])
        say(f"reading the table of {self.lake.folder} …")
        checked = self.check(payments.table_folder(self.lake.folder), scenario)
        scenario.before = checked["files"]
        if checked["on_disk"] != len(scenario.before):
            raise SystemExit(f"{checked['on_disk']} files are on disk, {len(scenario.before)} in the table")
        expected = count * self.input.days_of_subject * payments.ROWS_PER_VISIT
        if scenario.rows != expected:
            raise SystemExit(f"{scenario.rows} rows are of the people, not {expected}")
        return scenario

    def run(self, contestant: str, scenario: Scenario) -> Run:
        """Runs one contestant on a copy of its own and checks what is left."""
        folder = self.work / "runs" / "erasure"
        shutil.rmtree(folder, ignore_errors=True)
        copy = folder / "lake"
        self.lake.copy_by_links(copy, with_links=contestant == OURS_LINKED)
        if contestant in (OURS, OURS_LINKED):
            run = self.run_ours(contestant, scenario, folder, copy)
        else:
            run = self.run_peer(contestant, scenario, folder, copy)
        self.examine(run, scenario, copy)
        if not self.arguments.keep:
            shutil.rmtree(folder)
        return run

    def run_ours(self, contestant: str, scenario: Scenario, folder: Path, copy: Path) -> Run:
        people = folder / "people.csv"
        people.write_text("user_id\n" + "".join(f"{person}\n" for person in scenario.people))
        ready = self.lake.ready
        add = ["erase", "add", "--file", str(people)]
        erase, (_, *reports) = self.our_step(ERASE, folder, copy, ready, [add, ["run"]])
        erased = reports[-1]["datasets"][payments.DATASET]["erased_rows"]
        steps, expected, now = [erase], "erased", ready
        if self.arguments.verify:
            now, expected = ready + payments.UNTIL_PURGE, "certified"
            verify, checks = self.our_step(VERIFY, folder, copy, now, [["run"]])
            steps.append(verify)
            reports += checks
        failures = [failure for one in reports for failure in one["failures"]]
        states = self.request_states(copy, now)
        if erased != scenario.rows or failures or states != [expected] * len(scenario.people):
            raise SystemExit(
                f"{contestant} did not do its work: {erased} rows erased of {scenario.rows}, "
                f"failures: {failures}, requests: {dict(Counter(states))}"
            )
        version = machine.first_line(self.program, "--version")
        return Run(contestant, len(scenario.people), version, steps)

    def our_step(self, name, folder, copy, now, commands) -> tuple[Step, list[dict]]:
        """One or more commands, and what each of them printed."""
        access_log = folder / f"{name}.log"
        told = ["--dir", str(copy), "--now", now.isoformat(), "--output", "json"]
        server = lake.Server(self.program, copy, "--access-log", str(access_log), now=now.isoformat())
        with server:
            usages = [
                measure.run(
                    [str(self.program), *command, *told, "--endpoint", server.endpoint],
                    folder,
                    lake.CREDENTIALS,
                )
                for command in commands
            ]
        reports = [json.loads(usage.stdout) for usage in usages]
        return Step(name, usages, 0.0, Traffic.of(access_log)), reports

    def request_states(self, copy: Path, now) -> list[str]:
        command = [self.program, "erase", "list", "--dir", copy, "--now", now.isoformat(), "--output", "json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return [request["state"] for request in json.loads(done.stdout)]

    def run_peer(self, contestant: str, scenario: Scenario, folder: Path, copy: Path) -> Run:
        wanted = folder / "wanted.json"
        asked = {
            "bucket": lake.LAKE_BUCKET,
            "table": payments.TABLE,
            "column": "userId",
            "people": scenario.people,
            "row_group_rows": self.row_group_rows,
        }
        wanted.write_text(json.dumps(asked))
        access_log = folder / "access.log"
        now = self.lake.ready.isoformat()
        with lake.Server(self.program, copy, "--access-log", str(access_log), now=now) as server:
            command = [self.python, BENCHES / "erasure_peers.py", contestant, server.endpoint, wanted]
            usage = measure.run([str(part) for part in command], folder, lake.CREDENTIALS)
        told = json.loads(usage.stdout)
        if told["told"]["rows"] != scenario.rows:
            raise SystemExit(f"{contestant} did not do its work: {told}, not {scenario.rows} rows")
        step = Step(ERASE, [usage], told["startup_cpu"], Traffic.of(access_log))
        return Run(contestant, len(scenario.people), told["version"], [step])

    def examine(self, run: Run, scenario: Scenario, copy: Path) -> None:
        """Nothing of the people is left, and everything else is."""
        before = {file["identity"]: file for file in scenario.before}
        checked = self.check(payments.table_folder(copy), scenario, known=list(before))
        rewritten = [file for file in checked["files"] if file["identity"] not in before]
        after = [before.get(file["identity"], file) for file in checked["files"]]
        left = sum(file["of_people"] for file in after)
        if left:
            raise SystemExit(f"{run.contestant} left {left} rows of the people")
        now, then = others(after), others(scenario.before)
        if now != then:
            raise SystemExit(f"{run.contestant} changed rows of others: {now}, were {then}")
        is_purged = run.steps[-1].name == VERIFY or OURS not in run.contestant
        if is_purged and checked["on_disk"] != len(after):
            raise SystemExit(f"{run.contestant} left {checked['on_disk'] - len(after)} files that no table names")
        run.files_rewritten = len(rewritten)
        run.bytes_in_them = sum(file["bytes"] for file in rewritten)
        run.named_in_log = checked["named_in_log"]

    def check(self, table: Path, scenario: Scenario, known: list[str] | None = None) -> dict:
        wanted = {"table": str(table), "people": scenario.people, "known": known or []}
        done = subprocess.run(
            [self.python, BENCHES / "erasure_check.py"],
            input=json.dumps(wanted),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)


def others(files: list[dict]) -> tuple[int, int]:
    """Count and digest of the rows of nobody who was to be erased."""
    return sum(file["others"] for file in files), sum(file["digest"] for file in files)


def wanted_input(arguments: argparse.Namespace) -> payments.Payments:
    return payments.Payments(
        days=arguments.days,
        rows_per_day=arguments.rows_per_day,
        rows_per_object=arguments.rows_per_object,
        subjects=max(arguments.known, *arguments.subjects) + 1,
        days_of_subject=arguments.days_of_subject,
    )


def rounds(bench: Bench) -> dict[int, dict[str, list[Run]]]:
    """By number of people and contestant: a warm-up that does not count, then everyone in turn, as often as was
    asked for."""
    count, contestants = bench.arguments.rounds, bench.arguments.only
    runs = {len(one.people): {name: [] for name in contestants} for one in bench.scenarios}
    for number in range(0 if bench.arguments.warm_up else 1, count + 1):
        for scenario in bench.scenarios:
            for contestant in contestants:
                round_name = f"round {number} of {count}" if number else "warm-up"
                run = bench.run(contestant, scenario)
                for step in run.steps:
                    say(
                        f"{round_name}: {contestant}, {scenario.title}: {step.name}: {step.cpu:.2f} CPU-s, "
                        f"{step.wall:.2f} s, {step.traffic.written / MEGABYTE:.1f} MB written"
                    )
                if number:
                    runs[len(scenario.people)][contestant].append(run)
    return runs


COLUMNS = (
    "",
    "step",
    "CPU-seconds",
    "wall, s",
    "peak memory, MB",
    "requests",
    "read, MB",
    "written, MB",
    "copied by the store, MB",
    "files rewritten",
    "people its log names",
    "its bytes written to lakewarden's",
    "lakewarden's CPU to its",
)


def report(bench: Bench, described: dict[str, str], runs: dict[int, dict[str, list[Run]]]) -> str:
    lines = head(bench, described, runs)
    for scenario in bench.scenarios:
        by_contestant = runs[len(scenario.people)]
        lines += ["", f"Erasing {scenario.title}: {scenario.rows:,} rows in {scenario.files_hit} files", ""]
        lines += [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
        for name, measured in by_contestant.items():
            for step in measured[0].steps:
                ratios = ["", ""]
                if step.name == ERASE and name != OURS and OURS in by_contestant:
                    ratios = compared(by_contestant[OURS], measured)
                lines.append(f"| {' | '.join([name, step.name, *cells(measured, step.name), *ratios])} |")
    return "\n".join(lines)


def compared(ours: list[Run], theirs: list[Run]) -> list[str]:
    def median(runs: list[Run], of) -> float:
        return statistics.median(of(run.step(ERASE)) for run in runs)

    written = [median(runs, lambda step: step.traffic.written) for runs in (theirs, ours)]
    cpu = [median(runs, lambda step: step.cpu) for runs in (ours, theirs)]
    return [f"{written[0] / written[1]:.1f}", f"{cpu[0] / cpu[1]:.2f}"]


def head(bench: Bench, described: dict[str, str], runs: dict[int, dict[str, list[Run]]]) -> list[str]:
    flat = [run for by_contestant in runs.values() for measured in by_contestant.values() for run in measured]
    usages = [usage for run in flat for step in run.steps for usage in step.usages]
    others_share = statistics.mean(usage.other_cpu_share for usage in usages)
    lines = [f"- {name}: {value}" for name, value in described.items()]
    lines += [f"- {version}" for version in sorted({run.version for run in flat if OURS not in run.contestant})]
    rows, files = bench.input.days * bench.input.rows_per_day, len(bench.scenarios[0].before)
    lines.append(
        f"- lake: {rows:,} rows in {files} files, {bench.bytes / MEGABYTE:,.0f} MB, "
        f"row groups of up to {bench.row_group_rows:,} rows"
    )
    lines.append(
        f"- {bench.arguments.rounds} rounds; other programs, the S3 server among them, took "
        f"{100 * others_share:.0f} % of the machine"
    )
    return lines


def cells(measured: list[Run], name: str) -> list[str]:
    steps = [run.step(name) for run in measured]
    megabytes = [
        f"{statistics.median(getattr(step.traffic, what) for step in steps) / MEGABYTE:.1f}"
        for what in ("read", "written", "copied")
    ]
    # What is found in the end is told once.
    is_last = measured[0].steps[-1].name == name
    found = [str(measured[0].files_rewritten), str(max(run.named_in_log for run in measured))]
    return [
        spread([step.cpu for step in steps], 2),
        spread([step.wall for step in steps], 2),
        spread([step.peak_memory / MEGABYTE for step in steps], 0),
        f"{statistics.median(step.traffic.requests for step in steps):.0f}",
        *megabytes,
        *(found if is_last else ["", ""]),
    ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=" ".join(__doc__.split("\n\n")[0].split()))
    option = parser.add_argument
    option("--work", type=Path, default=REPOSITORY / "target" / "bench", help="where everything is kept")
    option("--lakewarden", type=Path, help="a built program, instead of building one")
    option("--rounds", type=int, default=3)
    option("--warm-up", action=argparse.BooleanOptionalAction, default=True, help="a round that does not count")
    option("--only", type=contestants, default=CONTESTANTS, help=f"some of {','.join(CONTESTANTS)}")
    option("--links", action="store_true", help="and lakewarden with a policy that follows other ids")
    option("--subjects", type=int, nargs="+", default=[1, 1000], help="so many people, a scenario each")
    option("--known", type=int, default=1000, help="so many people can be erased, whatever --subjects says")
    option("--days", type=int, default=200)
    option("--days-of-subject", type=int, default=8, help="so many days have rows of a person")
    option("--rows-per-day", type=int, default=620_000, help="65 bytes of Parquet each")
    option("--rows-per-object", type=int, default=100_000, help="of a raw object")
    option("--days-at-once", type=int, default=10, help="compacted together when the lake is made")
    option("--verify", action=argparse.BooleanOptionalAction, default=True, help="purge, look for traces, certify")
    option("--keep", action="store_true", help="keep what the last run wrote, under runs/")
    option("--json", type=Path, help="write every run's figures to this file")
    arguments = parser.parse_args()
    if arguments.links:
        arguments.only = (*arguments.only, OURS_LINKED)
    if min(arguments.subjects) < 1:
        parser.error("--subjects counts from 1")
    return arguments


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
    if bench.arguments.json:
        flat = [run.as_json() for by_name in runs.values() for measured in by_name.values() for run in measured]
        figures = {"machine": described, "input": vars(bench.input), "bytes": bench.bytes, "runs": flat}
        bench.arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(report(bench, described, runs))


if __name__ == "__main__":
    try:
        main()
    except measure.RunFailed as failure:
        sys.exit(str(failure))
