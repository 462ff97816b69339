"""A lake on disk for the embedded S3 server: filled once through its S3 interface, then copied by hard links.

Uploading goes through `lakewarden serve-s3` like any client's, so nothing here knows how the server keeps
objects, except that its files are never changed in place: a copy that shares them is a lake of its own.

The server copies an object by linking its bytes. So an input can be many times as large as its
files: the same bytes under other Kafka partitions are other events, for their identity is topic, partition
and offset, which the key holds.
"""

import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RAW_BUCKET = "acme-cart-events"
RAW_PREFIX = "topics/cart/"
LAKE_BUCKET = "acme-lake"
TABLE = "events/cart"
KAFKA_PARTITIONS = 8
# After the last event and before the first is too old, whenever the benchmark runs.
NOW = "2026-10-01T00:00:00Z"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testaccess",
    "AWS_SECRET_ACCESS_KEY": "testsecret",
    "AWS_REGION": "us-east-1",
}
UPLOADS_AT_ONCE = 8
# The file that says that a lake was filled to the end.
FILLED = "filled"

LAKE_POLICY = """\
version: 1
lake: s3://{bucket}/
readers_grace: 24 h
uncommitted_grace: 24 h
key:
  file: {key}
"""


class Server:
    """`lakewarden serve-s3` over a lake, for as long as the `with` lasts."""

    def __init__(self, program: Path, lake: Path, *options: str, now: str = NOW):
        self._command = [
            str(program), "serve-s3", "--dir", str(lake), "--now", now, "--listen", "127.0.0.1:0", *options,
        ]  # fmt: skip
        self.said: list[str] = []

    def __enter__(self) -> "Server":
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        for line in self._process.stderr:
            self.said.append(line)
            if found := re.search(r"at (http://([^ ]+)) ", line):
                self.endpoint, self.address = found.groups()
                return self
        raise RuntimeError(f"the S3 server did not start: {''.join(self.said)}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self.said.extend(self._process.stderr)
        self._process.wait()

    def most_gets_at_once(self) -> int:
        """Once the server has stopped."""
        return int(re.search(r"at most (\d+) GETs", "".join(self.said)).group(1))


class Client:
    """As much of an S3 client as filling a bucket takes; requests are signed with AWS Signature Version 4."""

    def __init__(self, address: str):
        self._address = address
        self._of_thread = threading.local()

    def put(self, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        path = urllib.parse.quote(path)
        signed = self._signed("PUT", path, headers or {})
        connection = self._connection()
        connection.request("PUT", path, body, signed)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"PUT {path}: {answer.status} {content.decode(errors='replace')}")

    def copy(self, source: str, target: str) -> None:
        self.put(target, headers={"x-amz-copy-source": urllib.parse.quote(source)})

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._of_thread, "connection"):
            self._of_thread.connection = http.client.HTTPConnection(self._address)
        return self._of_thread.connection

    def _signed(self, method: str, path: str, headers: dict[str, str]) -> dict[str, str]:
        time = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{time[:8]}/{CREDENTIALS['AWS_REGION']}/s3/aws4_request"
        headers = {
            "host": self._address,
            "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
            "x-amz-date": time,
            **headers,
        }
        names = ";".join(sorted(headers))
        listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = f"{method}\n{path}\n\n{listed}\n{names}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        key = f"AWS4{CREDENTIALS['AWS_SECRET_ACCESS_KEY']}".encode()
        for part in [*scope.split("/"), f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}"]:
            key = hmac.digest(key, part.encode(), "sha256")
        credential = f"{CREDENTIALS['AWS_ACCESS_KEY_ID']}/{scope}"
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={key.hex()}"
        )
        return headers


def write_policies(lake: Path, dataset_policy: Path, memory: str | None = None) -> None:
    """The dataset's own policy as the repository has it, and a lake of nothing else."""
    (lake / "policies" / "datasets").mkdir(parents=True, exist_ok=True)
    shutil.copy(dataset_policy, lake / "policies" / "datasets" / "cart.yaml")
    write_lake_policy(lake, memory)


def write_lake_policy(lake: Path, memory: str | None = None) -> None:
    """And a key of its own."""
    key = lake / "lakewarden.key"
    key.write_text(os.urandom(32).hex())
    policy = LAKE_POLICY.format(bucket=LAKE_BUCKET, key=json.dumps(str(key.resolve())))
    if memory is not None:
        policy += f"memory: {memory}\n"
    (lake / "policies" / "lake.yaml").write_text(policy)


def fill(program: Path, lake: Path, files: list[Path], repeats: int, dataset_policy: Path) -> None:
    """Makes `lake` with `files` as raw objects, each of them `repeats` times."""
    shutil.rmtree(lake, ignore_errors=True)
    write_policies(lake, dataset_policy)
    with Server(program, lake) as server, ThreadPoolExecutor(UPLOADS_AT_ONCE) as workers:
        client = Client(server.address)
        for bucket in (RAW_BUCKET, LAKE_BUCKET):
            client.put(f"/{bucket}")
        upload = workers.map(lambda file: put_with_repeats(client, file, repeats), files)
        for _ in upload:
            pass
    (lake / FILLED).touch()


def is_filled(lake: Path) -> bool:
    return (lake / FILLED).exists()


def put_with_repeats(client: Client, file: Path, repeats: int) -> None:
    topic, partition, offset = file.name.split("+")
    first = f"/{RAW_BUCKET}/{RAW_PREFIX}{file.name}"
    client.put(first, file.read_bytes())
    for repeat in range(1, repeats):
        name = f"{topic}+{int(partition) + repeat * KAFKA_PARTITIONS}+{offset}"
        client.copy(first, f"/{RAW_BUCKET}/{RAW_PREFIX}{name}")


def copy_by_links(lake: Path, copy: Path, dataset_policy: Path, memory: str | None) -> None:
    """A lake that shares the files of `lake`, whose policies are those of today."""
    write_policies(copy, dataset_policy, memory)
    # Whoever has the lock open must not be holding that of the copy too.
    ignored = shutil.ignore_patterns("lock")
    shutil.copytree(lake / "s3", copy / "s3", copy_function=os.link, ignore=ignored)


def raw_folder(lake: Path) -> Path:
    """Where the raw objects lie as plain files, for programs that know nothing of S3."""
    return lake / "s3" / RAW_BUCKET / RAW_PREFIX


def table_files(lake: Path) -> list[Path]:
    """The files of the event table's latest version, by its Delta log."""
    table = lake / "s3" / LAKE_BUCKET / TABLE
    files = set()
    for commit in sorted((table / "_delta_log").glob("*.json")):
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                files.add(urllib.parse.unquote(action["add"]["path"]))
            if "remove" in action:
                files.discard(urllib.parse.unquote(action["remove"]["path"]))
    return [table / file for file in sorted(files)]
