"""What has to be there before anything can be measured: programs, peers, input. All of it is kept."""

import importlib.util
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
    repeats: int = 1

    @property
    def events(self) -> int:
        return self.files * self.events_per_file * self.repeats

    @property
    def name(self) -> str:
        return f"{self.files}x{self.events_per_file}-{self.days}days-seed{self.seed}"

    def prepare(self, program: Path, work: Path) -> Path:
        """The lake with this input as its raw objects."""
        generated = work / "input" / self.name
        made = generated.with_suffix(".made")
        if not made.exists():
            say(f"generating {generated} …")
            generate(work, generated, self)
            made.touch()
        filled = work / "lakes" / f"{self.name}-times{self.repeats}"
        say(f"filling {filled} …")
        lake.fill(program, filled, sorted(generated.iterdir()), self.repeats, DATASET_POLICY)
        return filled

    def bytes_of_files(self, work: Path) -> int:
        """Bytes that are on disk once; the input has them `repeats` times."""
        return sum(file.stat().st_size for file in (work / "input" / self.name).iterdir())


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


def lakewarden(given: Path | None) -> Path:
    """The program: the one that was given, or a release build of this repository."""
    if given is not None:
        return given.resolve()
    say("building lakewarden (release) …")
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=REPOSITORY, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / "release" / "lakewarden"


def python_with_peers(work: Path) -> Path:
    """An interpreter that has the peers: this one if it does, else one in a virtual environment."""
    if all(importlib.util.find_spec(peer) for peer in PEERS):
        return Path(sys.executable)
    environment = work / "venv"
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, with_pip=True)
    wanted = BENCHES / "requirements.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
    return python
