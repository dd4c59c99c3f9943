"""A Hive-partitioned folder with nasty values: no key leaves its prefix, DuckDB and pyarrow get the values back, every record once.

partitions.py s3|file
"""
import collections
import functools
import os
import sys

import pyarrow.dataset as ds
import pyarrow.fs

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import sales
from harness import ACCESS_KEY, REGION, S3, SECRET_KEY, Daemon, check, running, wait_for, workspace


def put(daemon, lines):
    lake.in_threads([functools.partial(lake.send, daemon, name, lines, 100_000) for name in sales.STREAMS])


def totals(rows):
    """{(customer, day): (records, sum of amounts)}"""
    out = collections.defaultdict(lambda: [0, 0])
    for customer, day, amount in rows:
        out[customer, str(day)][0] += 1
        out[customer, str(day)][1] += amount
    return {k: tuple(v) for k, v in out.items()}


def compare(what, want, got):
    for k in want.keys() | got.keys():
        check(want.get(k) == got.get(k), f"{what}: partition {k!r} holds (records, sum) {got.get(k)} instead of {want.get(k)}")


def by_duckdb(name, root):
    """The query that a user of the lake would ask, over a folder."""
    files = f"{root}/{sales.PREFIX}{name}/**/*"
    hive = "hive_partitioning=true, hive_types={customer: VARCHAR, dt: VARCHAR}"
    source = f"read_json({lake.quoted(files + '.gz')}, columns={{id: 'VARCHAR', amount: 'INT'}}, format='newline_delimited', {hive})" \
        if name == "rows" else f"read_parquet({lake.quoted(files + '.parquet')}, {hive})"
    return lake.duck(f"SELECT customer, dt, amount FROM {source}")


def by_pyarrow(name, root, s3):
    """The same, through pyarrow's own S3 client where there is a server."""
    files = pyarrow.fs.LocalFileSystem()
    if s3.process:
        root, files = "lake", pyarrow.fs.S3FileSystem(access_key=ACCESS_KEY, secret_key=SECRET_KEY, region=REGION, scheme="http",
                                                      endpoint_override=s3.url.removeprefix("http://"))
    table = ds.dataset(f"{root}/{sales.PREFIX}{name}", filesystem=files, format="parquet", partitioning="hive").to_table()
    return zip(*(table.column(c).to_pylist() for c in ("customer", "dt", "amount")))


def check_stream(name, store, s3, want, folder):
    """Every record once, in the partition of its values, by the keys and by two readers."""
    objects, got = store.objects("lake", f"{sales.PREFIX}{name}/"), {}
    for key, body in objects:
        lake.clean_key(key, f"{sales.PREFIX}{name}/")
        values = lake.hive_values(key, sales.PARTS)
        for row in lake.rows_of(body):
            check(row["id"] not in got, f"{name}: record {row['id']} is there twice")
            got[row["id"]] = (values["customer"], values["dt"], row["amount"])
    lost = want.keys() - got.keys()
    check(not lost, f"{name}: {len(lost)} records are missing, such as {[(n, want[n]) for n in list(lost)[:3]]}")
    check(got.keys() <= want.keys(), f"{name}: records that nobody sent: {list(got.keys() - want.keys())[:3]}")
    wrong = [(n, got[n], want[n]) for n in got if got[n] != want[n]]
    check(not wrong, f"{name}: {len(wrong)} records in another partition, such as {wrong[:3]}")
    root = os.path.join(folder, "files")
    lake.download(objects, root)
    compare(f"{name} by DuckDB", totals(want.values()), totals(by_duckdb(name, root)))
    if name != "rows":
        compare(f"{name} by pyarrow", totals(want.values()), totals(by_pyarrow(name, root, s3)))
    print(f"{name}: {len(got)} records in {len(totals(want.values()))} partitions and {len(objects)} objects")


def check_failures(name, store):
    """The bad records are set aside, whole, once, each with its reason."""
    bad, got = dict(sales.bad_lines()), collections.Counter()
    if name == "defaults":
        bad = {what: line for what, line in bad.items() if what not in ("null", "missing", "empty")}
    for kind, entry in lake.failures(store, "lake", name):
        what = next((w for w, line in bad.items() if line == entry["rawData"].rstrip(b"\n")), None)
        check(what, f"{name}: set aside as {kind} ({entry['message']}): {entry['rawData'][:200]}")
        check(kind == "metadata-extraction-failed", f"{name}, {what}: set aside as {kind}: {entry['message']}")
        check(sales.BAD[what][1] in entry["message"] and entry["code"], f"{name}, {what}: the reason is {entry['code']!r} {entry['message']!r}")
        got[what] += 1
    check(got == collections.Counter(bad.keys()), f"{name}: set aside: {dict(got)}; expected one each of {sorted(bad)}")


def wanted(name, want):
    """With defaults, three of the bad records have a place, too."""
    if name != "defaults":
        return want
    more = {f"bad {what}": ("un/known", "2026-01-01", 0) for what in ("null", "missing", "empty")}
    return {**want, **more}


def main(kind):
    want, lines = sales.records()
    half = len(lines) // 2
    with workspace(f"partitions-{kind}") as folder:
        s3 = S3(folder)
        if kind == "s3":
            s3.start().make_bucket("lake")
        daemon = Daemon(folder, list(sales.streams()), kind, s3)
        store = s3 if kind == "s3" else lake.DiskStore(daemon.data_dir)
        with running(daemon, s3):
            daemon.start()
            put(daemon, lines[:half])
            wait_for("the first objects", lambda: store.objects("lake", sales.PREFIX), 60)
            put(daemon, lines[half:])  # partitions are open, and others being delivered
            daemon.kill()
            daemon.start()
            put(daemon, [line for _, line in sales.bad_lines()])
            lake.drain(daemon, 120)
            daemon.stop()
            for name in sales.STREAMS:
                check_stream(name, store, s3, wanted(name, want), folder)
                check_failures(name, store)
            if kind == "file":  # nothing is in the way of a user who reads the folder itself
                compare("the folder on the disk by DuckDB", totals(want.values()), totals(by_duckdb("columns", f"{daemon.data_dir}/s3/lake")))


main(*sys.argv[1:])
