"""CPU and memory of the real binary for each way in, and the latency of acknowledged puts, beside the budgets."""
import base64
import http.client
import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e", "lib")]
import events
from harness import BINARY, MB, S3, Daemon, check, running, s3_stream, wait_for, workspace

TOTAL = int(os.environ.get("BENCH_MB", "1000")) * 10**6
SECONDS = os.environ.get("BENCH_SECONDS", "10")
SENDERS = 4
rows = []


def row(what, measured, unit, budget=None, at_most=True):
    verdict = "" if budget is None else "ok" if (measured <= budget if at_most else measured >= budget) else "OVER" if at_most else "UNDER"
    rows.append((what, f"{measured:,.1f} {unit}", "" if budget is None else f"{'<=' if at_most else '>='} {budget:,} {unit}", verdict))
    print(*rows[-1], sep=" | ")


def ndjson_bodies(lines):
    """[(body, headers, record bytes, records)], 4 MB each."""
    out, at = [], 0
    while at < len(lines):
        part, size = [], 0
        while at < len(lines) and size < 4 * MB:
            part.append(lines[at])
            size += len(lines[at]) + 1
            at += 1
        out.append((b"\n".join(part) + b"\n", {"Content-Type": "application/x-ndjson"}, size, len(part)))
    return out


def batch_bodies(lines, stream):
    out = []
    for at in range(0, len(lines), 500):
        part = lines[at:at + 500]
        body = {"DeliveryStreamName": stream, "Records": [{"Data": base64.b64encode(x + b"\n").decode()} for x in part]}
        out.append((json.dumps(body).encode(), {"Content-Type": "application/x-amz-json-1.1",
                                                "X-Amz-Target": "Firehose_20150804.PutRecordBatch"},
                    sum(map(len, part)) + len(part), len(part)))
    return out


class Load:
    """Sends ready-made bodies over a few connections until TOTAL record bytes were accepted."""

    def __init__(self, port, path, bodies):
        self.port, self.path, self.bodies = port, path, bodies
        self.lock, self.next, self.size, self.records, self.errors = threading.Lock(), 0, 0, 0, []

    def take(self):
        with self.lock:
            if self.size >= TOTAL or self.errors:
                return None
            b = self.bodies[self.next % len(self.bodies)]
            self.next, self.size, self.records = self.next + 1, self.size + b[2], self.records + b[3]
            return b

    def work(self):
        try:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            while (b := self.take()) is not None:
                while True:
                    c.request("POST", self.path, b[0], b[1])
                    r = c.getresponse()
                    answer = r.read()
                    if r.status != 503:
                        break
                    time.sleep(0.05)
                check(r.status == 200, f"{r.status} {answer[:300]}")
        except Exception as e:
            self.errors.append(e)

    def run(self):
        t0 = time.monotonic()
        threads = [threading.Thread(target=self.work) for _ in range(SENDERS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if self.errors:
            raise self.errors[0]
        return time.monotonic() - t0


def backlog(daemon):
    return sum(v for k, v in daemon.metrics().items() if k.startswith("hydrant_backlog_records{"))


def path_cost(what, way, level, budget, lines):
    """From the first request to the last object."""
    with workspace("cost") as folder:
        s3 = S3(folder).start()
        s3.make_bucket("lake")
        daemon = Daemon(folder, [s3_stream("s", "lake", size="64MB", interval="5s", format="json", compression="gzip",
                                           compression_level=level)], "s3", s3)
        with running(daemon, s3):
            daemon.start()
            row(f"{what}: idle RSS", daemon.process.status_kb("VmRSS") / 1024, "MB", 40)
            load = Load(daemon.port, "/v1/streams/s/records", ndjson_bodies(lines)) if way == "ndjson" else \
                Load(daemon.port, "/", batch_bodies(lines, "s"))
            cpu, t0 = daemon.process.cpu_seconds(), time.monotonic()
            sent = load.run()
            wait_for("the last object", lambda: backlog(daemon) == 0, 180, every=0.05)
            cpu, whole = daemon.process.cpu_seconds() - cpu, time.monotonic() - t0
            row(f"{what}: CPU", cpu / load.size * 1e9, "s/GB", budget)
            row(f"{what}: accepted", load.size / sent / 1e6, "MB/s", 100, at_most=False)
            row(f"{what}: accepted", load.records / sent, "records/s")
            row(f"{what}: to the last object (its interval of 5 s included)", load.size / whole / 1e6, "MB/s")
            row(f"{what}: peak RSS", daemon.process.status_kb("VmHWM") / 1024, "MB", 120)
            daemon.stop()
            got = sum(len(b) for _, b in s3.objects("lake"))
            row(f"{what}: objects, compressed", got / load.size * 100, "% of what came in")


def latencies():
    """`hydrant bench` prints rate and percentiles; its output is passed on as it is."""
    with workspace("latency") as folder:
        daemon = Daemon(folder, [s3_stream("s", "lake", size="64MB", interval="60s", buffer={"max_backlog": "20GB"})], "file")
        with running(daemon):
            daemon.start()
            for mode, batch in (("put", "1"), ("batch", "500"), ("ndjson", "500")):
                for connections in ("1", "16", "64"):
                    argv = [BINARY, "bench", "--endpoint", daemon.url, "--stream", "s", "--mode", mode, "--connections", connections,
                            "--batch", batch, "--record-bytes", "670", "--duration", SECONDS + "s"]
                    p = subprocess.run(argv, capture_output=True, text=True, timeout=int(SECONDS) + 60)
                    check(p.returncode == 0, f"hydrant bench: exit {p.returncode}: {p.stderr[-1000:]}")
                    print(f"-- {mode}, {connections} connections")
                    print(p.stdout.strip())


print("== the way of a record: log events of 20 fields")
sample = events.lines(100_000)
print(f"mean record: {sum(map(len, sample)) / len(sample):.0f} bytes; {TOTAL / 1e6:.0f} MB for each path")
path_cost("NDJSON to gzip 1 to S3", "ndjson", 1, 8, sample)
path_cost("NDJSON to gzip 5 to S3", "ndjson", 5, 12, sample)
path_cost("PutRecordBatch of 500 to gzip 1 to S3", "batch", 1, 9.5, sample)
row("binary", os.path.getsize(BINARY) / 1e6, "MB", 60)
print("== acknowledged puts, every one synced before its answer (budget: 8,000 single puts/s)")
latencies()
print("== beside the budgets")
width = [max(len(r[i]) for r in rows) for i in range(4)]
for r in rows:
    print("  ".join(c.ljust(w) for c, w in zip(r, width)).rstrip())
