"""NDJSON to a _bulk server that parses and discards: CPU of the daemon, events a second, and how fast a backlog goes after an outage."""
import json
import os
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e", "lib")]
import events
from common import TOTAL, Load, backlog, ndjson_bodies, row, table
from harness import Daemon, Process, check, free_port, running, tcp_open, wait_for, workspace


class Bulk:
    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = Process("bulkd", [os.environ["HYDRANT_BULKD"], f"127.0.0.1:{self.port}"], folder)
        wait_for("bulkd", lambda: tcp_open(self.port), 10)

    def taken(self):
        return json.load(urllib.request.urlopen(self.url + "/taken"))["documents"]

    def refuse(self, on):
        urllib.request.urlopen(f"{self.url}/refuse?on={int(on)}", data=b"").read()

    def stop(self):
        self.process.stop()


def stream(bulk, encoding):
    return {"name": "s", "buffer": {"size": "32MB", "interval": "1s", "max_backlog": "20GB"}, "retry": {"for": "7200s"},
            "destination": {"opensearch": {"url": bulk.url, "index": "logs", "content_encoding": encoding}},
            "backup": {"s3": {"bucket": "failed"}}}


def cost(encoding, budget, lines):
    what = f"NDJSON to _bulk, {encoding}"
    with workspace("bulk") as folder:
        bulk = Bulk(folder)
        daemon = Daemon(folder, [stream(bulk, encoding)], "file")
        with running(daemon, bulk):
            daemon.start()
            load = Load(daemon.port, "/v1/streams/s/records", ndjson_bodies(lines))
            cpu, t0 = daemon.process.cpu_seconds(), time.monotonic()
            load.run()
            wait_for("the last document", lambda: backlog(daemon) == 0, 180, every=0.05)
            cpu, whole = daemon.process.cpu_seconds() - cpu, time.monotonic() - t0
            row(f"{what}: CPU", cpu / load.size * 1e9, "s/GB", budget)
            row(f"{what}: to the last document", load.records / whole, "events/s")
            row(f"{what}: to the last document", load.size / whole / 1e6, "MB/s")
            row(f"{what}: peak RSS", daemon.process.status_kb("VmHWM") / 1024, "MB", 120)
            check(bulk.taken() == load.records, f"{bulk.taken()} documents of {load.records}")


def catch_up(lines):
    """The destination is down while everything comes in; then it is back."""
    with workspace("catchup") as folder:
        bulk = Bulk(folder)
        daemon = Daemon(folder, [stream(bulk, "none")], "file")
        with running(daemon, bulk):
            daemon.start()
            bulk.refuse(True)
            load = Load(daemon.port, "/v1/streams/s/records", ndjson_bodies(lines))
            load.run()
            row("outage: RSS with the backlog on disk", daemon.process.status_kb("VmRSS") / 1024, "MB", 120)
            bulk.refuse(False)
            wait_for("the first document", lambda: bulk.taken() > 0, 60, every=0.05)
            cpu, t0 = daemon.process.cpu_seconds(), time.monotonic()
            wait_for("the last document", lambda: backlog(daemon) == 0, 180, every=0.05)
            whole = time.monotonic() - t0
            row("catch-up after an outage", load.records / whole, "events/s")
            row("catch-up after an outage", load.size / whole / 1e6, "MB/s")
            row("catch-up after an outage: CPU", (daemon.process.cpu_seconds() - cpu) / load.size * 1e9, "s/GB")
            check(bulk.taken() == load.records, f"{bulk.taken()} documents of {load.records}")


sample = events.lines(100_000)
print(f"== to a _bulk server that discards: mean record {sum(map(len, sample)) / len(sample):.0f} bytes; {TOTAL / 1e6:.0f} MB")
cost("none", 5, sample)
cost("gzip", None, sample)
catch_up(sample)
print("== beside the budgets")
table()
