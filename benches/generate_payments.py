"""Writes some days of the payment page's events as raw Parquet objects, with DuckDB.

    python generate_payments.py < WHAT-TO-WRITE-AS-JSON

Everything is a function of the row's number: equal input makes equal rows. Three rows in a row are one visit,
by one user in one session; a user comes six times in all, on other days. Known subjects take the place of the
first visits of their days.
"""

import json
import sys
from pathlib import Path

import duckdb

ROWS = """
    SELECT
        'ProceedPaymentClicked' AS eventType,
        -- Milliseconds, spread over the day.
        to_timestamp({midnight} + (row_of_day * 86400000 // {rows_per_day}) / 1000) AS timestamp,
        left(md5(
            CASE WHEN is_subject
                THEN 'subject-' || visit_of_day
                ELSE 'user-' || md5_number_lower('visit-' || visit) % {users}
            END
        ), 24) AS userId,
        md5('session-' || visit) AS sessionId,
        md5('cart-' || row_number) AS cartId,
        md5('payment-' || row_number) AS paymentId,
        CAST((500 + md5_number_lower('amount-' || row_number) % 30000) / 100 AS DECIMAL(10, 2)) AS totalAmount,
        ['EUR', 'EUR', 'EUR', 'GBP', 'USD'][1 + row_number % 5] AS currency,
        ['card', 'card', 'paypal', 'wallet', 'transfer', 'voucher', 'card'][1 + row_number % 7]
            AS paymentMethod
    FROM (
        SELECT
            {day} * {rows_per_day} + row_of_day AS row_number,
            row_of_day,
            row_of_day // {rows_per_visit} AS visit_of_day,
            {day} * {rows_per_day} + visit_of_day AS visit,
            ((({day} - visit_of_day * 7) % {days}) + {days}) % {days} AS shifted_day,
            visit_of_day < {subjects}
                AND shifted_day % {step} = 0
                AND shifted_day // {step} < {days_of_subject} AS is_subject
        FROM (SELECT range AS row_of_day FROM range({first}, {last}))
    )
    ORDER BY row_of_day
"""


def main() -> None:
    wanted = json.load(sys.stdin)
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET TimeZone = 'UTC'")
    out = Path(wanted["out"])
    for day in range(wanted["from_day"], wanted["to_day"]):
        midnight = wanted["first_midnight"] + day * 86_400
        for first in range(0, wanted["rows_per_day"], wanted["rows_per_object"]):
            last = min(first + wanted["rows_per_object"], wanted["rows_per_day"])
            rows = ROWS.format(**wanted, day=day, midnight=midnight, first=first, last=last)
            # As Kafka Connect names objects: topic, partition, offset of the first record.
            file = out / f"payment+0+{day * wanted['rows_per_day'] + first:012}.parquet"
            connection.execute(f"COPY ({rows}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")


if __name__ == "__main__":
    main()
