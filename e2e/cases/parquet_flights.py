"""231,083 flight records as Parquet, declared and inferred, with each codec: DuckDB and pyarrow read every file as the source."""
import decimal
import functools
import json
import math
import os
import struct
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flights
import lake
from harness import S3, Daemon, check, running, workspace


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def milli(x):
    return decimal.Decimal(x).quantize(decimal.Decimal("0.001"))


SOURCE = ("delay", "distance", "time")
CODECS = ("snappy", "zstd", "gzip")
DECLARED = {  # codec: column: type, what becomes of a source value; the order is not the alphabet's, and "origin" is never there
    "snappy": {"time": ("double", float), "origin": ("string", None), "distance": ("int", int), "delay": ("bigint", int)},
    "zstd": {"distance": ("decimal(12,3)", milli), "delay": ("string", str), "time": ("float", single)},
    "gzip": {"delay": ("smallint", int), "time": ("double", float), "distance": ("double", float)},
}
MORE = {"snappy": {}, "zstd": {"writer_version": "v2", "page_size": "64KB"}, "gzip": {"row_group_size": "1MB"}}  # of the declared ones
INFERRED = {"delay": ("bigint", int), "distance": ("bigint", int), "time": ("double", float)}


def streams():
    for codec in CODECS:
        columns = {name: t for name, (t, _) in DECLARED[codec].items()}
        yield lake.lake_stream(f"declared-{codec}", format="parquet", parquet={"schema": {"columns": columns}, "compression": codec, **MORE[codec]})
        yield lake.lake_stream(f"infer-{codec}", format="parquet", parquet={"schema": "infer", "compression": codec})


def wanted(source, columns):
    """What must come out: {column: values}."""
    return {name: [None] * len(source[SOURCE[0]]) if change is None else [change(v) for v in source[name]]
            for name, (_, change) in columns.items()}


def figures(values):
    """(count, nulls, sum, min, max) of a column of the source; strings have their lengths summed."""
    have = [v for v in values if v is not None]
    if not have:
        return (len(values), len(values), None, None, None)
    total = sum(map(len, have)) if isinstance(have[0], str) else math.fsum(have) if isinstance(have[0], float) else sum(have)
    return (len(values), len(values) - len(have), total, min(have), max(have))


def near(a, b):
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, rel_tol=1e-9))


def by_duckdb(paths, name, is_text):
    c = f'"{name}"'
    total = f"length({c})" if is_text else f"{c}::DOUBLE"
    return lake.duck(f"SELECT count(*), count(*) - count({c}), sum({total}), min({c}), max({c}) FROM {lake.duck_files(paths)}")[0]


def by_pyarrow(table, name, is_text):
    c = table.column(name)
    if c.null_count == len(c):
        return (len(c), c.null_count, None, None, None)
    total = pc.sum(pc.utf8_length(c) if is_text else pc.cast(c, pa.float64()))
    both = pc.min_max(c)
    return (len(c), c.null_count, total.as_py(), both["min"].as_py(), both["max"].as_py())


def check_column(what, want, got):
    same = all(near(float(a), float(b)) if isinstance(b, float) and a is not None else a == b for a, b in zip(want, got))
    check(same and len(want) == len(got), f"{what}: (count, nulls, sum, min, max) is {got} instead of {want}")


def check_stream(name, codec, columns, source, store, folder):
    objects = store.objects("lake", name + "/")
    check(len(objects) > 1, f"{name}: only {len(objects)} object")
    check(all(k.endswith(".parquet") for k, _ in objects), f"{name}: key {objects[0][0]}")
    check(not lake.failures(store, "lake", name), f"{name}: something was set aside")
    paths = lake.download(objects, os.path.join(folder, "files"))
    for path in paths:
        check(lake.codecs(path) == {codec.upper()}, f"{path}: codecs {lake.codecs(path)}")
        names = pq.read_schema(path).names
        check(names == list(columns), f"{path}: columns {names} instead of {list(columns)}")
    groups = max(pq.read_metadata(p).num_row_groups for p in paths)
    check((groups > 1) == (name == "declared-gzip"), f"{name}: {groups} row groups in a file")
    table = ds.dataset(paths, format="parquet").to_table()
    want = wanted(source, columns)
    for column, values in want.items():
        is_text = isinstance(next((v for v in values if v is not None), None), str)
        expected = figures(values)
        check_column(f"{name}.{column} by DuckDB", expected, by_duckdb(paths, column, is_text))
        check_column(f"{name}.{column} by pyarrow", expected, by_pyarrow(table, column, is_text))
        check(table.column(column).to_pylist() == values, f"{name}.{column}: values or their order differ from the source")
    size = sum(map(os.path.getsize, paths))
    print(f"{name}: {table.num_rows} rows in {len(paths)} files, {size / 1e6:.2f} MB")


def main():
    records = flights.load()
    parsed = [json.loads(r) for r in records]
    source = {name: [r[name] for r in parsed] for name in SOURCE}
    with workspace("parquet-flights") as folder:
        s3 = S3(folder)
        specs = list(streams())
        daemon = Daemon(folder, specs, "s3", s3)
        with running(daemon, s3):
            s3.start().make_bucket("lake")
            daemon.start()
            lake.in_threads([functools.partial(lake.send, daemon, s["name"], records) for s in specs])
            lake.drain(daemon, 120)
            daemon.stop()
            for codec in CODECS:
                check_stream(f"declared-{codec}", codec, DECLARED[codec], source, s3, folder)
                check_stream(f"infer-{codec}", codec, INFERRED, source, s3, folder)


main()
