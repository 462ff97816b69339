"""What the peers do to take people out of a table on S3, and the program that one measured run of a peer is.

    python erasure_peers.py NAME ENDPOINT FILE-OF-TABLE-AND-PEOPLE-AS-JSON

Prints as JSON the engine's version, the CPU seconds that the interpreter took to start and to load the engine,
and what the engine says that it did.
"""

import json
import os
import resource
import sys

# As lakewarden writes its files.
COMPRESSION_LEVEL = 3


def delta_rs(endpoint: str):
    """`DELETE`, then `VACUUM` without waiting for readers."""
    import deltalake

    def erase(bucket: str, table: str, column: str, people: list[str], row_group_rows: int) -> dict:
        options = {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_CONDITIONAL_PUT": "etag"}
        opened = deltalake.DeltaTable(f"s3://{bucket}/{table}", storage_options={**os.environ, **options})
        listed = ", ".join(f"'{person}'" for person in people)
        one = len(people) == 1
        written = deltalake.WriterProperties(
            compression="ZSTD", compression_level=COMPRESSION_LEVEL, max_row_group_size=row_group_rows
        )
        predicate = f"{column} = {listed}" if one else f"{column} IN ({listed})"
        told = opened.delete(predicate, writer_properties=written)
        removed = opened.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        return {"rows": told["num_deleted_rows"], "files_removed": len(removed)}

    return f"delta-rs (deltalake {deltalake.__version__})", erase


def pyarrow_rewrite(endpoint: str):
    """Every file that names one of the people is read whole and written again in its place."""
    import pyarrow
    import pyarrow.compute
    import pyarrow.fs
    import pyarrow.parquet

    def erase(bucket: str, table: str, column: str, people: list[str], row_group_rows: int) -> dict:
        store = pyarrow.fs.S3FileSystem(
            access_key=os.environ["AWS_ACCESS_KEY_ID"],
            secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            region=os.environ["AWS_REGION"],
            endpoint_override=endpoint.removeprefix("http://"),
            scheme="http",
        )
        sought = pyarrow.array(people)
        rows = 0
        everything = store.get_file_info(pyarrow.fs.FileSelector(f"{bucket}/{table}", recursive=True))
        files = [found.path for found in everything if found.path.endswith(".parquet")]
        for path in sorted(path for path in files if "/_delta_log/" not in path):
            with store.open_input_file(path) as source:
                names = pyarrow.parquet.ParquetFile(source).read(columns=[column])[column]
            if not pyarrow.compute.any(pyarrow.compute.is_in(names, sought)).as_py():
                continue
            with store.open_input_file(path) as source:
                whole = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(source.read())).read()
            is_of_people = pyarrow.compute.is_in(whole[column], sought)
            kept = whole.filter(pyarrow.compute.invert(is_of_people))
            rows += whole.num_rows - kept.num_rows
            with store.open_output_stream(path) as target:
                pyarrow.parquet.write_table(
                    kept,
                    target,
                    compression="zstd",
                    compression_level=COMPRESSION_LEVEL,
                    row_group_size=row_group_rows,
                )
        return {"rows": rows}

    return f"pyarrow {pyarrow.__version__}", erase


PEERS = {"delta-rs": delta_rs, "pyarrow": pyarrow_rewrite}


def main() -> None:
    name, endpoint, wanted_in = sys.argv[1:]
    with open(wanted_in) as file:
        wanted = json.load(file)
    version, erase = PEERS[name](endpoint)
    started = resource.getrusage(resource.RUSAGE_SELF)
    told = erase(**wanted)
    startup = started.ru_utime + started.ru_stime
    print(json.dumps({"version": version, "startup_cpu": startup, "told": told}))


if __name__ == "__main__":
    main()
