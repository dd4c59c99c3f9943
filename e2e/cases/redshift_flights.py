"""Flights over PutRecordBatch into a table, by COPY over PostgreSQL's protocol: the table equals the source, the ledger has a row a batch."""
import collections
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flights
import lake
import redshift
from harness import S3, Daemon, check, running, workspace
from postgres import Postgres


def expect(records):
    """Number and sums of all, and of each hour of the day, as SQL counts them."""
    groups = collections.defaultdict(lambda: [0, 0, 0])
    for r in map(json.loads, records):
        g = groups[int(r["time"] // 1)]
        g[0], g[1], g[2] = g[0] + 1, g[1] + r["delay"], g[2] + r["distance"]
    return {hour: tuple(g) for hour, g in groups.items()}


def verify(postgres, s3, records):
    want = expect(records)
    got = {int(h): (n, delay, distance) for h, n, delay, distance in
           postgres.query("SELECT floor(time), COUNT(*), SUM(delay), SUM(distance) FROM flights GROUP BY 1")}
    check(got == want, f"{len(got)} hours instead of {len(want)}, or others: {set(got.items()) ^ set(want.items())}")
    rows = collections.Counter(postgres.query("SELECT delay, distance, time FROM flights"))
    sent = collections.Counter((r["delay"], r["distance"], float(r["time"])) for r in map(json.loads, records))
    check(rows == sent, f"{(rows - sent).total()} rows too many, {(sent - rows).total()} missing")
    redshift.check_manifests(s3)
    return redshift.check_ledger(postgres, s3)


with workspace("redshift-flights") as folder:
    s3, postgres = S3(folder), Postgres(folder)
    warehouse = redshift.Redshift(folder, postgres, s3)
    secret = os.path.join(folder, "redshift.url")
    with open(secret, "w") as f:
        f.write(warehouse.url + "\n")
    reach = {"postgres": {"url": "file:" + secret}, "columns": ["delay", "distance", "time"]}
    daemon = Daemon(folder, [redshift.stream(reach, interval="5s")], "s3", s3)
    with running(daemon, warehouse, postgres, s3):
        s3.start().make_bucket(redshift.BUCKET)
        postgres.start().query(redshift.TABLE)
        warehouse.start()
        daemon.start()
        records = flights.load()
        redshift.put_all(daemon, records)
        lake.drain(daemon)
        daemon.stop()
        loads = verify(postgres, s3, records)
        check(loads >= 10, f"only {loads} batches of {len(records)} records")
        check(redshift.PASSWORD not in daemon.process.log(), "the log holds the password")
        print(f"{len(records)} flights are rows of the table, in {loads} batches")
