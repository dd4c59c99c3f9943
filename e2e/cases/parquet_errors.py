"""Records that do not fit their columns: set aside, raw and with column, value and type; their neighbours are written."""
import functools
import os
import sys

import pyarrow.dataset as ds

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
from harness import S3, Daemon, check, running, workspace

COLUMNS = {
    "n": "int", "tiny": "tinyint", "big": "bigint", "price": "decimal(5,2)", "flag": "boolean", "day": "date", "at": "timestamp",
    "ratio": "double", "tags": "array<int>", "owner": "struct<name:string,age:smallint>", "counts": "map<string,int>",
}
NESTED = b'{"n":1,"owner":' * 200 + b"1" + b"}" * 200
BAD = {  # a line, and what its reason must name: column, value, type
    b'{"n":2147483648}': ("n", "2147483648", "int"),
    b'{"n":"twelve"}': ("n", "twelve", "int"),
    b'{"n":1.5}': ("n", "1.5", "int"),
    b'{"n":{"a":1}}': ("n", "int"),
    b'{"n":true}': ("n", "true", "int"),
    b'{"tiny":128}': ("tiny", "128", "tinyint"),
    b'{"tiny":-129}': ("tiny", "-129", "tinyint"),
    b'{"big":9223372036854775808}': ("big", "9223372036854775808", "bigint"),
    b'{"big":1e400}': ("big", "1e400", "bigint"),
    b'{"price":1000.00}': ("price", "1000", "decimal(5,2)"),
    b'{"price":"cheap"}': ("price", "cheap", "decimal(5,2)"),
    b'{"flag":1}': ("flag", "1", "boolean"),
    b'{"day":"2026-02-30"}': ("day", "2026-02-30", "date"),
    b'{"at":"yesterday"}': ("at", "yesterday", "timestamp"),
    b'{"ratio":"wide"}': ("ratio", "wide", "double"),
    b'{"tags":[1,"x"]}': ("tags", "x", "int"),
    b'{"owner":{"name":"a","age":40000}}': ("owner.age", "40000", "smallint"),
    b'{"counts":{"a":"b"}}': ("counts", "b", "int"),
    b'{"counts":[1]}': ("counts", "map"),
    b'{"n":1,"n":2}': ("n",),
    b'{"n":1': (), b"no json": (), b'"text"': (), b"17": (), b'{"n":01}': (), b'{"n":1}x': (), b'{"n":NaN}': (), b'{"owner":{"name":"\xff"}}': (),
    b'{"n":1,}': (), b"{'n':1}": (), b"\x00\x01": (), NESTED: (),
}
STREAMS = {"v1": {}, "v2": {"writer_version": "v2", "compression": "zstd", "page_size": "64KB", "dictionary": "on"}}


def main():
    bad = list(BAD)
    good = [b'{"n":%d,"owner":{"name":"%d","age":7},"tags":[%d,null],"price":1.25}' % (n, n, n) for n in range(20 * len(bad))]
    lines = [x for n, line in enumerate(good) for x in ([line, bad[n // 20]] if n % 20 == 7 else [line])]
    with workspace("parquet-errors") as folder:
        s3 = S3(folder)
        daemon = Daemon(folder, [lake.lake_stream(name, format="parquet", parquet={"schema": {"columns": COLUMNS}, **more})
                                 for name, more in STREAMS.items()], "s3", s3)
        with running(daemon, s3):
            s3.start().make_bucket("lake")
            daemon.start()
            lake.in_threads([functools.partial(lake.send, daemon, name, lines) for name in STREAMS])
            lake.drain(daemon)
            daemon.stop()
            wrong = []
            for name in STREAMS:
                check_rows(name, s3, folder, len(good))
                wrong += [f"{name}: {w}" for w in check_failures(name, s3)]
            check(not wrong, "\n  ".join([f"{len(wrong)} wrong:"] + wrong))
            print(f"{len(good)} neighbours written, {len(bad)} set aside in each stream")


def check_rows(name, s3, folder, count):
    paths = lake.download(s3.objects("lake", name + "/"), os.path.join(folder, "files"))
    rows = ds.dataset(paths, format="parquet").to_table().to_pylist()
    check([r["n"] for r in rows] == list(range(count)), f"{name}: {len(rows)} neighbours instead of {count}, or in another order")
    check(all(r["owner"] == {"name": str(r["n"]), "age": 7} and r["tags"] == [r["n"], None] and r["flag"] is None for r in rows),
          f"{name}: a neighbour was changed")
    got = lake.duck(f"SELECT count(*), sum(n), sum(owner.age), sum(tags[1]), sum(price) FROM {lake.duck_files(paths)}")[0]
    total = count * (count - 1) / 2
    check(tuple(map(float, got)) == (count, total, 7 * count, total, 1.25 * count), f"{name} by DuckDB: {got}")


def check_failures(name, s3):
    """What is wrong with the error records."""
    left = dict(BAD)
    for kind, entry in lake.failures(s3, "lake", name):
        words = left.pop(entry["rawData"].rstrip(b"\n"), None)
        if words is None:
            yield f"set aside twice, or other bytes than were sent: {entry['rawData'][:80]}: {entry['message']}"
            continue
        reason = f"{entry['rawData'][:60]} {kind} {entry['code']} {entry['message']!r}"
        if kind != "format-conversion-failed" or not entry["code"].startswith("DataFormatConversion."):
            yield f"kind or code: {reason}"
        if missing := [w for w in words if w not in entry["message"]]:
            yield f"the reason does not name {missing}: {reason}"
        if len(entry["message"]) > 600:
            yield f"the reason has {len(entry['message'])} characters: {reason}"
    for line in left:
        yield f"not set aside: {line[:80]}"


main()
