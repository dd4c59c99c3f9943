"""CPU and memory of the real binary for each way in, and the latency of acknowledged puts, beside the budgets."""
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e", "lib")]
import events
from common import TOTAL, Load, backlog, batch_bodies, ndjson_bodies, row, table
from harness import BINARY, S3, Daemon, check, running, s3_stream, wait_for, workspace

SECONDS = os.environ.get("BENCH_SECONDS", "10")


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
table()
