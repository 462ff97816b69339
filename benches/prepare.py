"""What has to be there before anything can be measured: programs, peers, input. All of it is kept."""

import importlib.util
import math
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import lake

BENCHES = Path(__file__).resolve().parent
REPOSITORY = BENCHES.parent
DATASET_POLICY = REPOSITORY / "policies" / "datasets" / "cart.yaml"
PEERS = ("duckdb", "chdb")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Input:
    """Equal values make equal bytes."""

    files: int
    events_per_file: int
    days: int
    seed: int
    # Repeat the files under other keys until the input is at least so large; None: as they are.
    gigabytes: float | None = None

    @property
    def name(self) -> str:
        repeated = "" if self.gigabytes is None else f"-{self.gigabytes:g}GB"
        return f"{self.files}x{self.events_per_file}-{self.days}days-seed{self.seed}{repeated}"

    def prepare(self, program: Path, work: Path) -> "Filled":
        """The lake with this input as its raw objects. The generated files do not outlive its making."""
        folder = work / "lakes" / self.name
        if not lake.is_filled(folder):
            say(f"making {folder} …")
            generated = work / "generated"
            generate(work, generated, self)
            files = sorted(generated.iterdir())
            lake.fill(program, folder, files, self.repeats(files), DATASET_POLICY)
            shutil.rmtree(generated)
        sizes = [file.stat().st_size for file in lake.raw_folder(folder).iterdir()]
        return Filled(folder, len(sizes), sum(sizes), len(sizes) * self.events_per_file)

    def repeats(self, files: list[Path]) -> int:
        if self.gigabytes is None:
            return 1
        return math.ceil(self.gigabytes * 1e9 / sum(file.stat().st_size for file in files))


@dataclass(frozen=True)
class Filled:
    """A lake that nothing has been compacted of."""

    folder: Path
    objects: int
    bytes: int
    events: int


def generate(work: Path, out: Path, wanted: Input) -> None:
    program = work / "generate"
    source = BENCHES / "generate.rs"
    subprocess.run(["rustc", "--edition", "2024", "-O", source, "-o", program], check=True)
    shutil.rmtree(out, ignore_errors=True)
    options = {
        "--out": out,
        "--files": wanted.files,
        "--events-per-file": wanted.events_per_file,
        "--days": wanted.days,
        "--seed": wanted.seed,
    }
    flat = [str(part) for option in options.items() for part in option]
    subprocess.run([str(program), *flat], check=True)


def lakewarden(given: Path | None, with_symbols: bool = False) -> Path:
    """The program: the one that was given, or a release build of this repository, with its functions' names
    if they are wanted."""
    if given is not None:
        return given.resolve()
    say("building lakewarden (release) …")
    build = ["cargo", "build", "--release", "--locked"]
    if with_symbols:
        # Nothing else is built anew: the dependencies keep their names until the program is linked.
        build = ["cargo", "rustc", "--release", "--locked", "--bin", "lakewarden", "--", "-C", "strip=none"]
    subprocess.run(build, cwd=REPOSITORY, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / "release" / "lakewarden"


def python_with_peers(work: Path, peers: tuple[str, ...] = PEERS) -> Path:
    """An interpreter that has the peers: this one if it does, else one in a virtual environment."""
    if all(importlib.util.find_spec(peer) for peer in peers):
        return Path(sys.executable)
    environment = work / "venv"
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, with_pip=True)
    wanted = BENCHES / "requirements.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
    return python
