"""A lake of nothing but its event table: payments that were compacted, and whose raw objects have gone.

It is filled some days at a time, so that no more than those are on disk twice, and kept under the work folder.
"""

import datetime
import hashlib
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import lake
from prepare import BENCHES, say

DATASET = "payment"
RAW_BUCKET = "acme-payment-events"
RAW_PREFIX = "topics/payment/"
TABLE = f"events/{DATASET}"
# The day after the last event, and when the first days are compacted.
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
# Raw objects go on the second run after that of their events.
BETWEEN_RUNS = datetime.timedelta(days=2)
# Longer than `readers_grace`.
UNTIL_PURGE = datetime.timedelta(hours=25)
ROWS_PER_VISIT = 3
VISITS_PER_USER = 6

DATASET_POLICY = """\
version: 1
dataset: payment
raw:
  location: s3://acme-payment-events/topics/payment/
  format: parquet
  keep: 1 day after compaction
events:
  time: timestamp
table:
  sort_by: [userId]
retention:
  keep: 10 years
pii:
  identifiers:
    user_id: [userId]
  on_erasure: delete
"""
LINKS = "  links:\n    userId: [sessionId, cartId, paymentId]\n"


@dataclass(frozen=True)
class Payments:
    """Equal values make equal rows."""

    days: int
    rows_per_day: int
    rows_per_object: int
    # So many known people, and the days on which each of them is seen, three rows a day.
    subjects: int
    days_of_subject: int

    @property
    def name(self) -> str:
        return (
            f"payments-{self.days}x{self.rows_per_day}-by{self.rows_per_object}"
            f"-{self.subjects}on{self.days_of_subject}"
        )

    @property
    def users(self) -> int:
        return max(1, self.days * self.rows_per_day // (ROWS_PER_VISIT * VISITS_PER_USER))

    def refuse_if_impossible(self) -> None:
        if self.rows_per_day < self.subjects * ROWS_PER_VISIT:
            raise SystemExit(f"{self.subjects} subjects need {self.subjects * ROWS_PER_VISIT} rows a day or more")
        if self.days < self.days_of_subject:
            raise SystemExit("subjects cannot be seen on more days than there are")

    def prepare(self, program: Path, python: Path, work: Path, days_at_once: int) -> "PaymentLake":
        """The lake, as it was made once or as it is made now."""
        folder = work / "lakes" / self.name
        if not lake.is_filled(folder):
            self._make(program, python, work, folder, days_at_once)
        return PaymentLake(folder, datetime.datetime.fromisoformat((folder / lake.FILLED).read_text()))

    def _make(self, program: Path, python: Path, work: Path, folder: Path, days_at_once: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        write_policies(folder, DATASET_POLICY)
        generated, temporary = work / "generated", work / "temporary"
        temporary.mkdir(parents=True, exist_ok=True)
        now = BEGIN
        with lake.Server(program, folder) as server:
            client = lake.Client(server.address)
            for bucket in (RAW_BUCKET, lake.LAKE_BUCKET):
                client.put(f"/{bucket}")
        for day in range(0, self.days, days_at_once):
            say(f"making {folder}: day {day} of {self.days} …")
            until = min(day + days_at_once, self.days)
            self._generate(python, generated, day, until)
            upload(program, folder, sorted(generated.iterdir()), now)
            shutil.rmtree(generated)
            counts = night(program, folder, temporary, now)["datasets"][DATASET]
            if counts["written"] != (until - day) * self.rows_per_day:
                raise SystemExit(f"not every event was written: {counts}")
            now += BETWEEN_RUNS
        # The last raw objects go; what is left of the table's building is purged.
        for _ in range(2):
            night(program, folder, temporary, now)
            now += BETWEEN_RUNS
        refuse_leftovers(folder)
        (folder / lake.FILLED).write_text(now.isoformat())

    def _generate(self, python: Path, out: Path, from_day: int, to_day: int) -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        first_day = BEGIN - datetime.timedelta(days=self.days)
        wanted = {
            **asdict(self),
            "out": str(out),
            "from_day": from_day,
            "to_day": to_day,
            "first_midnight": int(first_day.timestamp()),
            "rows_per_visit": ROWS_PER_VISIT,
            "users": self.users,
            "step": self.days // self.days_of_subject,
        }
        subprocess.run(
            [python, BENCHES / "generate_payments.py"], input=json.dumps(wanted), text=True, check=True
        )


@dataclass(frozen=True)
class PaymentLake:
    """A lake that nobody has been erased from, and the time at which that can begin."""

    folder: Path
    ready: datetime.datetime

    def copy_by_links(self, copy: Path, with_links: bool) -> None:
        """A lake that shares the files of this one. Neither the server nor its clients change one in place:
        a write is a new file."""
        policy = DATASET_POLICY + LINKS if with_links else DATASET_POLICY
        write_policies(copy, policy)
        shutil.copy(self.folder / "lakewarden.key", copy / "lakewarden.key")
        # Whoever has the lock open must not be holding that of the copy too.
        ignored = shutil.ignore_patterns("lock")
        shutil.copytree(self.folder / "s3", copy / "s3", copy_function=os.link, ignore=ignored)


def user_id(subject: int) -> str:
    """As `generate_payments.py` makes it."""
    return hashlib.md5(f"subject-{subject}".encode()).hexdigest()[:24]


def table_folder(folder: Path) -> Path:
    """Where the lake's current table files lie as plain files."""
    return folder / "s3" / lake.LAKE_BUCKET / TABLE


def write_policies(folder: Path, dataset_policy: str) -> None:
    policies = folder / "policies" / "datasets"
    policies.mkdir(parents=True)
    (policies / f"{DATASET}.yaml").write_text(dataset_policy)
    lake.write_lake_policy(folder)


def upload(program: Path, folder: Path, files: list[Path], now: datetime.datetime) -> None:
    with (
        lake.Server(program, folder, now=now.isoformat()) as server,
        ThreadPoolExecutor(lake.UPLOADS_AT_ONCE) as workers,
    ):
        client = lake.Client(server.address)

        def put(file: Path) -> None:
            client.put(f"/{RAW_BUCKET}/{RAW_PREFIX}{file.name}", file.read_bytes())

        for _ in workers.map(put, files):
            pass


def night(program: Path, folder: Path, temporary: Path, now: datetime.datetime) -> dict:
    command = [program, "run", "--dir", folder, "--now", now.isoformat(), "--output", "json"]
    surroundings = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def refuse_leftovers(folder: Path) -> None:
    """The table alone is what contestants are to work on."""
    raw = [path for path in (folder / "s3" / RAW_BUCKET).rglob("*") if path.is_file()]
    if raw:
        raise SystemExit(f"{len(raw)} raw objects are left")
