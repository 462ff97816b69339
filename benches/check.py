"""Reads what a contestant wrote, with DuckDB, and tells what is in it.

    python check.py < LIST-OF-FILES-AS-JSON

Prints as JSON: rows; rows by date; a digest of every row's ids that does not depend on their order; and how
many rows of a file come before a row that they should come after.
"""

import json
import re
import sys
from pathlib import Path

import duckdb

EVENT = "concat_ws('|', eventType, userId, sessionId, cartId, len(items))"
DESCENTS = """
    SELECT count(*)
    FROM (
        SELECT userId < lag(userId) OVER (ORDER BY file_row_number) AS descends
        FROM read_parquet(?, file_row_number = true)
    )
    WHERE descends
"""


def main() -> None:
    connection = duckdb.connect()
    rows_by_date: dict[str, int] = {}
    digest, descents = 0, 0
    files = json.load(sys.stdin)
    for file in files:
        totals = f"SELECT count(*), coalesce(sum(hash({EVENT})), 0) FROM read_parquet(?)"
        rows, file_digest = connection.execute(totals, [file]).fetchone()
        date = re.search(r"event_date=(\d{4}-\d\d-\d\d)", file).group(1)
        rows_by_date[date] = rows_by_date.get(date, 0) + rows
        digest += int(file_digest)
        descents += connection.execute(DESCENTS, [file]).fetchone()[0]
    found = {
        "rows": sum(rows_by_date.values()),
        "rows_by_date": dict(sorted(rows_by_date.items())),
        "digest": f"{digest % 2**128:032x}",
        "descents": descents,
        "files": len(files),
        "bytes": sum(Path(file).stat().st_size for file in files),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
