"""What the figures were taken on."""

import os
import platform
import subprocess
from pathlib import Path

from prepare import REPOSITORY


def describe(program: Path, is_built_here: bool, work: Path) -> dict[str, str]:
    origin = f"commit {commit()}" if is_built_here else "a given program"
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "file system": file_system(work),
        "system": f"{platform.system()} {platform.release()}",
        "lakewarden": f"{first_line(program, '--version')}, {origin}",
        "rustc": first_line("rustc", "--version"),
        "python": platform.python_version(),
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def file_system(folder: Path) -> str:
    """The type of the file system with the longest mount point above `folder`."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [mount for mount in mounts if folder.resolve().is_relative_to(mount[0])]
    return max(above, key=lambda mount: len(mount[0]), default=["", "unknown"])[1]


def commit() -> str:
    return first_line("git", "-C", REPOSITORY, "describe", "--always", "--dirty", "--abbrev=10")


def first_line(*command: object) -> str:
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.split("\n")[0]
