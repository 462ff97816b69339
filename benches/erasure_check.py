"""Reads a table's live files, with DuckDB, and tells how many rows are of given people, and what the rest is.

    python erasure_check.py < TABLE-PEOPLE-AND-KNOWN-FILES-AS-JSON

Which files are live, its Delta log tells. Files that are known, the same bytes on disk as before, are listed
and not read again. Prints as JSON a list of files and how many of the people the log itself names.
"""

import json
import re
import sys
import urllib.parse
from pathlib import Path

import deltalake
import duckdb


def identity(path: Path) -> str:
    """Differs wherever the bytes could."""
    found = path.stat()
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def describe(connection: duckdb.DuckDBPyConnection, path: Path) -> dict:
    """Rows of the people, and count and digest of all other rows, whatever their order."""
    source = "read_parquet($path, hive_partitioning = false)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}", {"path": str(path)}).fetchall()
    columns = ", ".join(f'"{name}"' for name in sorted(row[0] for row in described))
    date = re.search(r"event_date=(\d{4}-\d\d-\d\d)", str(path)).group(1)
    of_people, others, digest, groups = connection.execute(
        f"""
        SELECT
            count(*) FILTER (WHERE is_sought),
            count(*) FILTER (WHERE NOT is_sought),
            coalesce(sum(hash({columns}, $date)) FILTER (WHERE NOT is_sought), 0),
            (SELECT max(row_group_num_rows) FROM parquet_metadata($path))
        FROM (SELECT *, coalesce(userId IN (SELECT id FROM people), false) AS is_sought FROM {source})
        """,
        {"path": str(path), "date": date},
    ).fetchone()
    return {"of_people": of_people, "others": others, "digest": int(digest), "row_group_rows": groups}


def named_in_log(connection: duckdb.DuckDBPyConnection, table: Path, people: list[str]) -> int:
    log = table / "_delta_log"
    texts = [path.read_text() for path in log.glob("*.json")]
    for path in log.glob("*.parquet"):
        rows = connection.execute("SELECT checkpoint::VARCHAR FROM read_parquet(?) checkpoint", [str(path)])
        texts.extend(row[0] for row in rows.fetchall())
    whole = "\n".join(texts)
    return sum(person in whole for person in people)


def main() -> None:
    wanted = json.load(sys.stdin)
    table, people, known = Path(wanted["table"]), wanted["people"], set(wanted["known"])
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute("CREATE TABLE people AS SELECT unnest(?) AS id", [people])
    files = []
    for uri in sorted(deltalake.DeltaTable(str(table)).file_uris()):
        path = Path(urllib.parse.unquote(uri.removeprefix("file://")))
        found = {"identity": identity(path), "path": str(path.relative_to(table)), "bytes": path.stat().st_size}
        if found["identity"] not in known:
            found.update(describe(connection, path))
        files.append(found)
    on_disk = sum(1 for path in table.rglob("*.parquet") if "_delta_log" not in path.parts)
    told = {"files": files, "on_disk": on_disk, "named_in_log": named_in_log(connection, table, people)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
