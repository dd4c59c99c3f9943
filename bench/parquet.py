"""JSON to Parquet: what the whole way costs the daemon, what the encoder alone costs beside DuckDB on the same file, and memory."""
import os
import random
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e", "lib")]
import columns
import events
from common import TOTAL, Load, backlog, ndjson_bodies, row, table
from harness import S3, Daemon, check, running, s3_stream, wait_for, workspace

KINDS = {"flat, 20 columns": (events.flat_event, events.FLAT, 8.5), "nested": (events.nested_event, events.NESTED, None)}
SAMPLE, PARTITIONS, ROUNDS = 60_000, 10_000, 20
DUCK = {"string": "VARCHAR", "int": "INTEGER", "boolean": "BOOLEAN", "bigint": "BIGINT", "double": "DOUBLE", "timestamp": "TIMESTAMP"}


def duck_type(t):
    kind, *args = t
    if kind == "array":
        return duck_type(args[0]) + "[]"
    if kind == "map":
        return f"MAP({duck_type(args[0])}, {duck_type(args[1])})"
    if kind == "struct":
        return "STRUCT(" + ", ".join(f'"{n}" {duck_type(x)}' for n, x in args) + ")"
    return DUCK[kind]


def stream(declared, size, interval, **more):
    return s3_stream("s", "lake", size=size, interval=interval, format="parquet", parquet={"schema": {"columns": declared}}, **more)


def path_cost(what, declared, budget, lines):
    """From the first request to the last object."""
    with workspace("parquet") as folder:
        s3 = S3(folder).start()
        s3.make_bucket("lake")
        daemon = Daemon(folder, [stream(declared, "64MB", "5s")], "s3", s3)
        with running(daemon, s3):
            daemon.start()
            load = Load(daemon.port, "/v1/streams/s/records", ndjson_bodies(lines))
            cpu, t0 = daemon.process.cpu_seconds(), time.monotonic()
            load.run()
            wait_for("the last object", lambda: backlog(daemon) == 0, 180, every=0.05)
            cpu, whole = daemon.process.cpu_seconds() - cpu, time.monotonic() - t0
            row(f"{what}: NDJSON to Parquet snappy to S3, CPU", cpu / load.size * 1e9, "s/GB", budget)
            row(f"{what}: the same, of one core", load.size / cpu / 1e6, "MB/s")
            row(f"{what}: to the last object (its interval of 5 s included)", load.size / whole / 1e6, "MB/s")
            row(f"{what}: peak RSS", daemon.process.status_kb("VmHWM") / 1024, "MB", 120 if budget else None)
            daemon.stop()
            objects = s3.objects("lake")
            check(all(k.endswith(".parquet") for k, _ in objects), f"not only Parquet files: {objects[0][0]}")
            row(f"{what}: objects", sum(len(b) for _, b in objects) / load.size * 100, "% of what came in")


def best(argv, seconds=300):
    """(input bytes, records, CPU seconds, output bytes) of the run of three that took least CPU."""
    runs = []
    for _ in range(3):
        p = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, env={**os.environ, "GOMAXPROCS": "1"})
        check(p.returncode == 0, f"{argv[0]}: exit {p.returncode}: {p.stderr[-1000:]}")
        runs.append(tuple(map(float, p.stdout.split())))
    return min(runs, key=lambda r: r[2])


def beside_duckdb(what, declared, lines):
    """Our encoder and DuckDB, each on one thread, from the same file to a file."""
    with workspace("encode") as folder:
        source, target = os.path.join(folder, "in.ndjson"), os.path.join(folder, "out.parquet")
        with open(source, "wb") as f:
            for _ in range(4):
                f.write(b"\n".join(lines) + b"\n")
        names = [(n, columns.parse(t)) for n, t in declared.items()]
        ours = best([os.environ["HYDRANT_ENCODE"], columns.hive(("struct", *names)), source, target])
        duck = best([sys.executable, os.path.join(HERE, "duck.py"), "{" + ", ".join(f"{n}: '{duck_type(t)}'" for n, t in names) + "}", source, target])
        check(ours[:2] == duck[:2], f"other input or records: {ours} and {duck}")
        for who, r in (("encoder alone", ours), ("DuckDB, one thread", duck)):
            row(f"{what}: {who}", r[0] / r[2] / 1e6, "MB/CPU s")
            row(f"{what}: {who}, output", r[3] / r[0] * 100, "% of input")
        row(f"{what}: encoder beside DuckDB", duck[2] / ours[2], "times as fast", 1, at_most=False)


def watched(daemon, done, seconds):
    """Highest RSS in MB until done() is true."""
    peak, ended = [0], threading.Event()

    def look():
        while not ended.wait(0.05):
            peak[0] = max(peak[0], daemon.process.status_kb("VmRSS") / 1024)

    t = threading.Thread(target=look)
    t.start()
    try:
        wait_for("the last object", done, seconds, every=0.2)
    finally:
        ended.set()
        t.join()
    return max(peak[0], daemon.process.status_kb("VmHWM") / 1024)


def large_batches(lines):
    with workspace("large") as folder:
        daemon = Daemon(folder, [stream(events.FLAT, "128MB", "10s")], "file")
        with running(daemon):
            daemon.start()
            load = Load(daemon.port, "/v1/streams/s/records", ndjson_bodies(lines), total=600 * 10**6)
            load.run()
            row("batches of 128 MB: peak RSS", watched(daemon, lambda: backlog(daemon) == 0, 120), "MB")


def many_partitions():
    rnd = random.Random(3)
    lines = [x for r in range(ROUNDS) for x in events.lines(PARTITIONS, r, events.flat_event)]
    at = [c for _ in range(ROUNDS) for c in rnd.sample(range(PARTITIONS), PARTITIONS)]
    lines = [b'{"c":"%05d",' % c + line[1:] for c, line in zip(at, lines)]
    size = sum(map(len, lines)) + len(lines)
    with workspace("partitions") as folder:
        spec = stream({"c": "string", **events.FLAT}, "64MB", "20s", prefix="p/c=!{partitionKeyFromQuery:c}/", processors=[{"partition": {"c": ".c"}}])
        spec["destination"]["s3"]["error_prefix"] = "failed/!{firehose:error-output-type}/"
        daemon = Daemon(folder, [spec], "file")
        with running(daemon):
            daemon.start()
            cpu, t0 = daemon.process.cpu_seconds(), time.monotonic()
            load = Load(daemon.port, "/v1/streams/s/records", ndjson_bodies(lines), total=size)
            load.run()
            peak = watched(daemon, lambda: backlog(daemon) == 0, 240)
            files = sum(len(names) for _, _, names in os.walk(os.path.join(daemon.data_dir, "s3", "lake", "p")))
            row(f"{PARTITIONS:,} partitions, {size / 1e6:.0f} MB: peak RSS", peak, "MB", 300)
            row(f"{PARTITIONS:,} partitions: CPU for each of {files:,} files", (daemon.process.cpu_seconds() - cpu) / files * 1000, "ms")
            row(f"{PARTITIONS:,} partitions: to the last object (their interval of 20 s included)", time.monotonic() - t0, "s")


def main():
    print(f"== JSON to Parquet; {TOTAL / 1e6:.0f} MB for each path")
    samples = {what: events.lines(SAMPLE, 1, kind) for what, (kind, _, _) in KINDS.items()}
    for what, (_, declared, budget) in KINDS.items():
        print(f"mean record, {what}: {sum(map(len, samples[what])) / SAMPLE:.0f} bytes")
        path_cost(what, declared, budget, samples[what])
    print("== the encoder beside DuckDB, one thread each, least CPU of three runs")
    for what, (_, declared, _) in KINDS.items():
        beside_duckdb(what, declared, samples[what])
    print("== memory")
    large_batches(samples["flat, 20 columns"])
    many_partitions()
    print("== beside the budgets")
    table()


main()
