"""Release gate: Trino reads through S3 what the daemon wrote: flights as Parquet and compressed JSON, webhooks, and a partitioned folder."""
import collections
import functools
import json
import math
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import columns
import flights
import lake
import sales
import webhooks
from harness import S3, Daemon, check, running, workspace
from trino import Trino

FLIGHTS = {"time": "double", "origin": "string", "distance": "int", "delay": "bigint"}
PARQUET = {"declared": {"columns": FLIGHTS}, "inferred": "infer"}
JSON_CODECS = ("gzip", "hadoop-snappy")


def streams():
    for name, schema in PARQUET.items():
        yield lake.lake_stream("flights-" + name, format="parquet", parquet={"schema": schema})
    for codec in JSON_CODECS:
        yield lake.lake_stream("flights-" + codec, format="json", compression=codec)
    yield lake.lake_stream("webhooks", format="parquet", parquet={"schema": {"columns": webhooks.DECLARED}, "compression": "zstd"})
    yield from sales.streams()


def typed(declared):
    return [(name, columns.parse(t)) for name, t in declared.items()]


def check_flights(trino, records):
    want = {c: [json.loads(r)[c] for r in records] for c in ("time", "distance", "delay")}
    figures = tuple(x for c in ("time", "distance", "delay") for x in (math.fsum(want[c]), min(want[c]), max(want[c])))
    for name in [*PARQUET, *JSON_CODECS]:
        table = "flights_" + name.replace("-", "_")
        fields = {c: t for c, t in FLIGHTS.items() if c != "origin"} if name != "declared" else FLIGHTS
        if name == "inferred":
            fields = {**fields, "distance": "bigint"}
        trino.table(table, f"flights-{name}/", typed(fields), "JSON" if name in JSON_CODECS else "PARQUET")
        row = trino.query("SELECT count(*), " + ", ".join(f"sum({c}), min({c}), max({c})" for c in ("time", "distance", "delay")) + f" FROM {table}")[0]
        check(row[0] == len(records) and all(math.isclose(float(a), float(b), rel_tol=1e-9) for a, b in zip(row[1:], figures)),
              f"{table}: {row} instead of {(len(records), *figures)}")
        print(f"{table}: {row}")
    nulls = trino.query("SELECT count(*) FROM flights_declared WHERE origin IS NULL AND delay IS NOT NULL")[0][0]
    check(nulls == len(records), f"{nulls} nulls in a column that no record has")


def check_webhooks(trino, lines):
    trino.table("webhooks", "webhooks/", typed(webhooks.DECLARED))
    fits = [p for p in map(json.loads, lines) if not isinstance(p.get("workflow"), str)]
    topics = sum(len(p["repository"]["topics"] or []) for p in fits if "topics" in (p.get("repository") or {}))
    want = (len(fits), sum(p[webhooks.ID] for p in fits), sum(p["sender"]["id"] for p in fits if p.get("sender")),
            sum(p["repository"]["owner"].get("id", 0) for p in fits if p.get("repository")), topics,
            sum(len(x.get("added") or []) for p in fits for x in p.get("commits") or []),
            sum(len((p.get("installation") or {}).get("permissions") or {}) for p in fits),
            sum(len(p.get("action") or "") for p in fits))
    got = trino.query(f"SELECT count(*), sum({webhooks.ID}), sum(sender.id), sum(repository.owner.id), sum(cardinality(repository.topics)), "
                      "(SELECT sum(cardinality(c.added)) FROM webhooks w CROSS JOIN UNNEST(w.commits) AS c(id, message, ts, author, added)), "
                      "sum(cardinality(installation.permissions)), sum(length(action)) FROM webhooks")[0]
    check(tuple(x or 0 for x in got) == want, f"webhooks: {got} instead of {want}")
    print(f"webhooks: {got}")


def check_sales(trino, want):
    more = {f"bad {what}": ("un/known", "2026-01-01", 0) for what in ("null", "missing", "empty")}
    for name in sales.STREAMS:
        table, expected = "sales_" + name, collections.defaultdict(lambda: [0, 0])
        for customer, day, amount in {**want, **(more if name == "defaults" else {})}.values():
            expected[customer, day][0] += 1
            expected[customer, day][1] += amount
        trino.table(table, f"{sales.PREFIX}{name}/", typed({"id": "string", "amount": "int"}), "JSON" if name == "rows" else "PARQUET", sales.PARTS)
        got = {(c, d): [n, s] for c, d, n, s in trino.query(f"SELECT customer, dt, count(*), sum(amount) FROM {table} GROUP BY 1, 2")}
        wrong = [(k, got.get(k), expected.get(k)) for k in got.keys() | expected.keys() if got.get(k) != expected.get(k)]
        check(not wrong, f"{table}: {len(wrong)} partitions (records, sum) wrong, such as {wrong[:5]}")
        one = trino.query(f"SELECT count(*) FROM {table} WHERE customer = 'a/b' AND dt = '2024-02-29'")[0][0]
        check(one == sales.ROUNDS, f"{table}: the query of one partition counts {one}")
        print(f"{table}: {len(got)} partitions, {sum(n for n, _ in got.values())} records")


def main():
    records, lines, (want, sold) = flights.load(), webhooks.load(), sales.records()
    sold = [*sold, *(line for _, line in sales.bad_lines())]
    with workspace("trino") as folder:
        s3 = S3(folder).start()
        s3.make_bucket("lake")
        daemon = Daemon(folder, list(streams()), "s3", s3)
        trino = Trino(folder, s3.url)
        with running(daemon, s3, trino):
            daemon.start()
            inputs = [*(("flights-" + n, records) for n in [*PARQUET, *JSON_CODECS]), ("webhooks", lines), *((n, sold) for n in sales.STREAMS)]
            lake.in_threads([functools.partial(lake.send, daemon, name, part) for name, part in inputs])
            lake.drain(daemon, 180)
            daemon.stop()
            trino.start()
            trino.query("CREATE SCHEMA e2e")
            check_flights(trino, records)
            check_webhooks(trino, lines)
            check_sales(trino, want)
            print("Trino's RSS:", trino.process.status_kb("VmRSS") >> 10, "MB")


main()
