"""What the peers are told to do, and the program that one measured run of a peer is.

    python peers.py NAME FOLDER-OF-JSON FOLDER-TO-WRITE TEMPORARY-FOLDER

Prints as JSON the engine's version, the CPU seconds that the interpreter took to start and to load the
engine, and the statement. Nothing but the engine is imported, so that it alone is measured.
"""

import json
import resource
import sys

TICKETS = ("adultTickets", "adult"), ("childrenTickets", "children")
ITEM_TEXTS = (
    "itemType", "itemId", "itemName", "ticketDate", "currency",
    "isBookingforSomeoneElse", "isVoucherCodeUsed", "isInsuranceAdded",
)  # fmt: skip
ALWAYS_EMPTY = "elderlyTickets", "specialDiscountTickets", "specialRequest"


def declared_columns(text: str, integer: str, decimal: str, struct, array, anything: str) -> dict[str, str]:
    """The columns of the cart page's events in an engine's own types."""
    tickets = {
        name: struct(
            {
                "quantity": integer,
                "price": decimal,
                "discountedPrice": decimal,
                f"{whose}TotalLoyaltyPoints": integer,
            }
        )
        for name, whose in TICKETS
    }
    item = {
        **dict.fromkeys(ITEM_TEXTS, text),
        **dict.fromkeys(("totalPrice", "totalDiscountedPrice"), decimal),
        **dict.fromkeys(("totalQuantity", "totalLoyaltyPoints"), integer),
        **tickets,
        **dict.fromkeys(ALWAYS_EMPTY, anything),
        "insuranceDetails": struct({"type": text, "price": decimal, "currency": text}),
    }
    device = dict.fromkeys(("deviceType", "operatingSystem", "browser"), text)
    return {
        **dict.fromkeys(("eventType", "userId", "sessionId", "cartId"), text),
        "items": array(struct(item)),
        "deviceDetails": struct(device),
    }


def duckdb_source(source: str, declared: bool) -> str:
    if not declared:
        return f"read_json('{source}/*.json', format = 'newline_delimited')"
    columns = declared_columns(
        "VARCHAR",
        "BIGINT",
        "DOUBLE",
        lambda fields: "STRUCT(" + ", ".join(f"{name} {kind}" for name, kind in fields.items()) + ")",
        lambda kind: f"{kind}[]",
        "JSON",
    )
    columns["timestamp"] = "TIMESTAMP"
    listed = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    return f"read_json('{source}/*.json', format = 'newline_delimited', columns = {{{listed}}})"


def duckdb_statements(source: str, out: str, temporary: str, declared: bool, threads: int | None) -> list[str]:
    statements = [
        "SET enable_progress_bar = false",
        "SET TimeZone = 'UTC'",
        f"SET temp_directory = '{temporary}'",
        f"""COPY (
    SELECT *, CAST(timestamp AS DATE) AS event_date
    FROM {duckdb_source(source, declared)}
    ORDER BY event_date, userId
) TO '{out}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, PARTITION_BY (event_date))""",
    ]
    return statements if threads is None else [f"SET threads = {threads}", *statements]


def chdb_source(source: str, declared: bool) -> str:
    if not declared:
        return f"file('{source}/*.json', JSONEachRow)"
    columns = declared_columns(
        "Nullable(String)",
        "Nullable(Int64)",
        "Nullable(Float64)",
        lambda fields: "Tuple(" + ", ".join(f"{name} {kind}" for name, kind in fields.items()) + ")",
        lambda kind: f"Array({kind})",
        "String",
    )
    columns["timestamp"] = "DateTime(\\'UTC\\')"
    listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return f"file('{source}/*.json', JSONEachRow, '{listed}')"


def chdb_statements(source: str, out: str, _temporary: str, declared: bool, threads: int | None) -> list[str]:
    settings = {
        "session_timezone": "'UTC'",
        "output_format_parquet_compression_method": "'zstd'",
        "output_format_compression_level": 3,
        # On by default, they cost it a tenth of its CPU, and the task does not ask for them.
        "output_format_parquet_write_bloom_filter": 0,
        "output_format_parquet_write_page_index": 0,
    }
    if declared:
        settings["date_time_input_format"] = "'best_effort'"
    else:
        settings["input_format_json_infer_incomplete_types_as_strings"] = 1
    if threads is not None:
        settings["max_threads"] = threads
    listed = ", ".join(f"{name} = {value}" for name, value in settings.items())
    return [
        f"""INSERT INTO FUNCTION file('{out}/event_date={{_partition_id}}/data.parquet', Parquet)
PARTITION BY event_date
SELECT *, toDate(timestamp) AS event_date
FROM {chdb_source(source, declared)}
ORDER BY event_date, userId
SETTINGS {listed}"""
    ]


# name → engine, types declared rather than detected, threads (None: as many as there are cores)
FORMS = {
    "duckdb": ("duckdb", False, None),
    "duckdb-declared": ("duckdb", True, None),
    "duckdb-one-thread": ("duckdb", False, 1),
    "chdb": ("chdb", False, None),
    "chdb-declared": ("chdb", True, None),
    "chdb-one-thread": ("chdb", False, 1),
}


def statements_of(name: str, source: str, out: str, temporary: str) -> list[str]:
    engine, declared, threads = FORMS[name]
    write = duckdb_statements if engine == "duckdb" else chdb_statements
    return write(source, out, temporary, declared, threads)


def open_duckdb(_temporary: str):
    import duckdb

    return f"DuckDB {duckdb.__version__}", duckdb.connect().execute


def open_chdb(temporary: str):
    import chdb
    from chdb.session import Session

    session = Session(f"{temporary}/chdb")
    return f"chDB {chdb.__version__} (ClickHouse {chdb.engine_version})", session.query


def main() -> None:
    name, source, out, temporary = sys.argv[1:]
    open_engine = open_duckdb if FORMS[name][0] == "duckdb" else open_chdb
    version, execute = open_engine(temporary)
    started = resource.getrusage(resource.RUSAGE_SELF)
    statements = statements_of(name, source, out, temporary)
    for statement in statements:
        execute(statement)
    startup = started.ru_utime + started.ru_stime
    print(json.dumps({"version": version, "startup_cpu": startup, "statements": statements}))


if __name__ == "__main__":
    main()
