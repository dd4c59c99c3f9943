"""What the measurements share: rows beside their budgets, ready-made bodies, and the load that sends them."""
import base64
import http.client
import json
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e", "lib")]
from harness import MB, check

TOTAL = int(os.environ.get("BENCH_MB", "1000")) * 10**6
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
    """Sends ready-made bodies over a few connections until total record bytes were accepted."""

    def __init__(self, port, path, bodies, total=TOTAL):
        self.port, self.path, self.bodies, self.total = port, path, bodies, total
        self.lock, self.next, self.size, self.records, self.errors = threading.Lock(), 0, 0, 0, []

    def take(self):
        with self.lock:
            if self.size >= self.total or self.errors:
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


def table():
    """All rows, in columns."""
    width = [max(len(r[i]) for r in rows) for i in range(4)]
    for r in rows:
        print("  ".join(c.ljust(w) for c, w in zip(r, width)).rstrip())
