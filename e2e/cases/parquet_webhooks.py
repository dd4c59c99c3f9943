"""329 real webhook payloads as Parquet, inferred and declared: DuckDB and pyarrow give every value back, or the record was set aside."""
import collections
import functools
import os
import sys

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import columns
import lake
import webhooks
from harness import S3, Daemon, check, running, workspace

INFER_ALL = {"infer": {"max_columns": 8000}}
STREAMS = {  # name: parquet settings, buffer size
    "infer": ({"schema": INFER_ALL, "compression": "zstd"}, "64MB"),
    "infer-growing": ({"schema": INFER_ALL}, "1MB"),  # several files, each with the columns that were known then
    "infer-narrow": ({"schema": {"infer": {"max_columns": 1000}}}, "64MB"),  # what would need more columns is set aside
    "declared": ({"schema": {"columns": webhooks.DECLARED}}, "1MB"),
}


def expected(name, record, t):
    return columns.expect(record, t, inferred=name.startswith("infer"))


def read(name, t, rows, source, seen):
    """Compares rows that a reader gave with the source, and notes their numbers in seen."""
    for row in rows:
        n = row[webhooks.ID]
        want = expected(name, source[n], t)
        check(columns.same(row, want), f"{name}: record {n}{columns.where(row, want)}")
        check(n not in seen, f"{name}: record {n} is there twice")
        seen.add(n)


def check_stream(name, store, folder, source, lines):
    objects, groups = lake.delivered(store, name), collections.defaultdict(list)
    paths = lake.download(objects, os.path.join(folder, "files"))
    by_arrow, by_duck = set(), set()
    for (key, _), path in zip(objects, paths):
        table = pq.read_table(path)
        t = columns.table_type(table.schema)
        rows = table.to_pylist()
        read(f"{name} by pyarrow", t, rows, source, by_arrow)
        if name == "declared":
            check(table.schema.names == list(webhooks.DECLARED), f"{name}: columns {table.schema.names}")
        else:
            lost = next(filter(None, (columns.forgotten(source[r[webhooks.ID]], t) for r in rows)), None)
            check(not lost, f"{name}: {path} has no column for {lost}")
        groups[key.split("/", 1)[0]].append(path)
    for part in groups.values():  # the files of a prefix can be read together
        together = lake.duck_table(f"FROM {lake.duck_files(part)}")
        read(f"{name} by DuckDB", columns.table_type(together.schema), together.to_pylist(), source, by_duck)
        ds.dataset(part, schema=pa.unify_schemas(list(map(pq.read_schema, part)))).to_table()
    check(by_arrow == by_duck, f"{name}: pyarrow and DuckDB see other records")
    aside = check_aside(name, store, lines, by_arrow, source, t)
    print(f"{name}: {len(by_arrow)} rows in {len(paths)} files under {len(groups)} prefixes, {len(t) - 1} columns, {len(aside)} set aside")
    return by_arrow, aside


def check_aside(name, store, lines, delivered, source, t):
    """What is not in a file is set aside, whole, once, and with a reason; the rest is not."""
    number = {line: n for n, line in enumerate(lines)}
    aside = set()
    for kind, entry in lake.failures(store, "lake", name):
        check(kind == "format-conversion-failed", f"{name}: {kind}: {entry['message']}")
        n = number.get(entry["rawData"].rstrip(b"\n"))
        check(n is not None and n not in aside, f"{name}: set aside twice, or bytes that nobody sent: {entry['rawData'][:200]}")
        check(len(entry["message"]) > 10 and entry["code"], f"{name}: record {n} was set aside without a reason: {entry}")
        aside.add(n)
    check(not aside & delivered, f"{name}: delivered and set aside: {sorted(aside & delivered)[:5]}")
    check(len(aside | delivered) == webhooks.COUNT, f"{name}: lost: {sorted(set(range(webhooks.COUNT)) - aside - delivered)[:5]}")
    for n in aside if name in ("infer", "infer-growing") else ():
        check(not columns.learnable(source[n], t), f"{name}: record {n} was set aside although every value fits")
    return aside


def main():
    lines = webhooks.load()
    source = [columns.load(line) for line in lines]
    with workspace("webhooks") as folder:
        s3 = S3(folder)
        specs = [lake.lake_stream(name, size=size, format="parquet", parquet=parquet) for name, (parquet, size) in STREAMS.items()]
        daemon = Daemon(folder, specs, "s3", s3)
        with running(daemon, s3):
            s3.start().make_bucket("lake")
            daemon.start()
            lake.in_threads([functools.partial(lake.send, daemon, name, lines, 600_000) for name in STREAMS])
            lake.drain(daemon, 120)
            daemon.stop()
            done = {name: check_stream(name, s3, folder, source, lines) for name in STREAMS}
    misfits = {n for n, payload in enumerate(source) if isinstance(payload.get("workflow"), str)}
    check(misfits and done["declared"][1] == misfits, f"declared: set aside are {sorted(done['declared'][1])}, not {sorted(misfits)}")
    check(len(done["infer"][0]) > webhooks.COUNT * 0.9, "inferred: more than a tenth was set aside")
    check(len(done["infer-narrow"][1]) > len(done["infer"][1]), "1,000 columns were enough: this case does not show what it is for")


main()
