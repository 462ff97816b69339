#!/usr/bin/env python3
"""Shows whether requests overlap: compacts many small objects from an S3 server that makes every GET wait.

The server is `lakewarden serve-s3 --get-delay`, in a process of its own on the same machine; it delays every
GET, listings included. Each object's first and last moment come from the server's access log.
"""

import argparse
import json
import shutil
import sys
import threading
import time
from pathlib import Path

import lake
import machine
import measure
from prepare import DATASET_POLICY, REPOSITORY, Input, lakewarden

POLL_SECONDS = 0.02
# 38 events of the cart page are 51 KB.
EVENTS_PER_OBJECT = 38


class ReadingWatch(threading.Thread):
    """Follows the access log and notes when raw objects were answered."""

    def __init__(self, access_log: Path):
        super().__init__(daemon=True)
        self._access_log = access_log
        self._ended = threading.Event()
        self._prefix = f"GET /{lake.RAW_BUCKET}/{lake.RAW_PREFIX}"
        self.keys: set[str] = set()
        self.requests = 0
        self.first = self.last = 0.0

    def run(self) -> None:
        with self._access_log.open() as log:
            ended = False
            while not ended:
                ended = self._ended.wait(POLL_SECONDS)
                self._note(log.readlines(), time.perf_counter())

    def _note(self, lines: list[str], now: float) -> None:
        reads = [line for line in lines if line.startswith(self._prefix)]
        if reads:
            self.first = self.first or now
            self.last = now
        self.requests += len(reads)
        self.keys.update(line.split(" ")[1].split("?")[0] for line in reads)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def run(program: Path, filled: Path, folder: Path, delay: int, memory: str | None) -> dict[str, object]:
    """One compaction with `delay` milliseconds for every GET."""
    shutil.rmtree(folder, ignore_errors=True)
    copy = folder / "lake"
    lake.copy_by_links(filled, copy, DATASET_POLICY, memory)
    access_log = folder / "access.log"
    access_log.touch()
    watch = ReadingWatch(access_log)
    with lake.Server(
        program, copy, "--access-log", str(access_log), "--get-delay", f"{delay}ms"
    ) as server:
        watch.start()
        command = [str(program), "run", "--dir", str(copy), "--now", lake.NOW, "--output", "json"]
        command += ["--endpoint", server.endpoint]
        usage = measure.run(command, folder, lake.CREDENTIALS)
        watch.stop()
    counts = json.loads(usage.stdout)["datasets"]["cart"]
    reading = watch.last - watch.first + delay / 1000
    shutil.rmtree(folder)
    return {
        "delay, ms": delay,
        "objects": len(watch.keys),
        "GETs of them": watch.requests,
        "rows": counts["written"],
        "reading, s": f"{reading:.2f}",
        "objects/s": f"{len(watch.keys) / reading:.0f}",
        "most GETs at once": server.most_gets_at_once(),
        "whole run, s": f"{usage.wall:.2f}",
        "CPU-seconds": f"{usage.cpu:.2f}",
        "peak memory, MB": f"{usage.peak_memory / measure.MEGABYTE:.0f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Compacts many small objects over slow GETs.")
    option = parser.add_argument
    option("--work", type=Path, default=REPOSITORY / "target" / "bench", help="where everything is kept")
    option("--lakewarden", type=Path, help="a built program, instead of building one")
    option("--objects", type=int, default=10_000)
    option("--delays", type=int, nargs="+", default=[0, 100], help="milliseconds added to every GET")
    option("--memory", help="`memory` of lake.yaml, such as '400 MB'")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    program = lakewarden(arguments.lakewarden)
    wanted = Input(files=arguments.objects, events_per_file=EVENTS_PER_OBJECT, days=3, seed=1)
    filled = wanted.prepare(program, work)
    described = machine.describe(program, arguments.lakewarden is None, work)
    print("\n".join(f"- {name}: {value}" for name, value in described.items()))
    size = filled.bytes / measure.MEGABYTE
    print(f"- input: {filled.objects:,} objects, {size:,.0f} MB\n")
    for number, delay in enumerate(arguments.delays):
        figures = run(program, filled.folder, work / "runs" / "latency", delay, arguments.memory)
        if number == 0:
            print(f"| {' | '.join(figures)} |\n|{'---|' * len(figures)}")
        print(f"| {' | '.join(str(value) for value in figures.values())} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except measure.RunFailed as failure:
        sys.exit(str(failure))
