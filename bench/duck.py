"""duck.py COLUMNS INPUT OUTPUT: NDJSON to Parquet by DuckDB on one thread; prints input bytes, records, CPU seconds and output bytes."""
import os
import resource
import sys

import duckdb


def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


columns, source, target = sys.argv[1:]
with duckdb.connect() as c:
    c.execute("SET threads=1")
    c.execute("SET preserve_insertion_order=true")
    before = cpu()
    c.execute(f"COPY (FROM read_ndjson('{source}', columns={columns})) TO '{target}' (FORMAT parquet, COMPRESSION snappy)")
    used = cpu() - before
    records = c.execute(f"SELECT count(*) FROM read_parquet('{target}')").fetchone()[0]
print(os.path.getsize(source), records, used, os.path.getsize(target))
