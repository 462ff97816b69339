"""Runs one program in a process of its own and measures what it takes.

CPU time and peak memory are the kernel's own account of the process and of the children it waited for
(`wait4`). What the kernel does not add up is sampled while the process runs: memory that no file backs, and
bytes in temporary files, those included that have no name any more.

Hazard: a process inherits the peak memory of the one that starts it, so this program imports nothing large.
"""

import os
import subprocess
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.05
MEGABYTE = 1_000_000


class RunFailed(Exception):
    """A measured program ended with an error; says what it wrote last."""


@dataclass
class Usage:
    """What one run took: seconds and bytes."""

    wall: float
    cpu: float
    peak_memory: int
    peak_memory_without_files: int
    peak_temporary: int
    other_cpu_share: float
    stdout: str

    def as_json(self) -> dict:
        values = asdict(self)
        del values["stdout"]
        return values


def run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> Usage:
    """Runs `command` to its end. `folder` gets its standard error and its temporary files."""
    temporary = folder / "temporary"
    temporary.mkdir(parents=True, exist_ok=True)
    surroundings = {**os.environ, "TMPDIR": str(temporary), **(environment or {})}
    errors = folder / "stderr.txt"
    with tempfile.TemporaryFile() as output, errors.open("wb") as complaints:
        machine = MachineTime.now()
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=complaints, env=surroundings)
        sampler = Sampler(process.pid, temporary)
        sampler.start()
        _, status, resources = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        sampler.stop()
        # `wait4` has taken the status; subprocess must not look for the process again.
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode()
    if process.returncode != 0:
        last = errors.read_text(errors="replace")[-2000:]
        raise RunFailed(f"{command[0]} ended with {process.returncode}:\n{last}{text[-2000:]}")
    cpu = resources.ru_utime + resources.ru_stime
    return Usage(
        wall=wall,
        cpu=cpu,
        peak_memory=max(resources.ru_maxrss * 1024, sampler.peak_memory),
        peak_memory_without_files=sampler.peak_without_files,
        peak_temporary=sampler.peak_temporary,
        other_cpu_share=MachineTime.now().share_of_others(machine, cpu),
        stdout=text,
    )


class Sampler(threading.Thread):
    """Watches a process from outside."""

    def __init__(self, pid: int, temporary: Path):
        super().__init__(daemon=True)
        self._pid = pid
        self._temporary = temporary
        self._ended = threading.Event()
        self.peak_memory = 0
        self.peak_without_files = 0
        self.peak_temporary = 0

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            status = memory_of(self._pid)
            self.peak_memory = max(self.peak_memory, status.get("VmHWM", 0))
            self.peak_without_files = max(self.peak_without_files, status.get("RssAnon", 0))
            used = temporary_bytes(self._pid, self._temporary)
            self.peak_temporary = max(self.peak_temporary, used)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def memory_of(pid: int) -> dict[str, int]:
    """The process's own account of its memory, in bytes; empty once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, _ in fields}


def temporary_bytes(pid: int, folder: Path) -> int:
    """Bytes on disk of the files in `folder` and of unnamed ones that the process holds open."""
    paths = [Path(root) / name for root, _, names in os.walk(folder) for name in names]
    try:
        handles = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        handles = []
    for handle in handles:
        try:
            target = os.readlink(handle)
        except OSError:
            continue
        if target.startswith("/") and target.endswith(" (deleted)"):
            paths.append(handle)
    sizes = {}
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            continue
        sizes[(found.st_dev, found.st_ino)] = found.st_blocks * 512
    return sum(sizes.values())


@dataclass
class MachineTime:
    """Seconds that all cores together have been busy, and have been at all."""

    busy: float
    total: float

    @classmethod
    def now(cls) -> "MachineTime":
        ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        seconds = [tick / os.sysconf("SC_CLK_TCK") for tick in ticks]
        user, nice, system, idle, waiting, interrupt, soft_interrupt, stolen = seconds
        busy = user + nice + system + interrupt + soft_interrupt + stolen
        return cls(busy, busy + idle + waiting)

    def share_of_others(self, earlier: "MachineTime", own_cpu: float) -> float:
        """How much of the machine was busy with something else, from 0 to 1."""
        total = self.total - earlier.total
        others = self.busy - earlier.busy - own_cpu
        return max(0.0, others / total) if total > 0 else 0.0
