"""10,000 partitions open at once, killed while open and amid delivery, delivered once each record, in little memory.

many_partitions.py json|parquet
"""
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
from harness import Daemon, check, running, wait_for, workspace

PARTITIONS, ROUNDS, TEXT_BYTES = 10_000, 12, 200
INTERVAL_S = 12
RSS_LIMIT_MB = 300
FORMATS = {
    "json": {"format": "json", "compression": "gzip"},
    "parquet": {"format": "parquet", "parquet": {"schema": {"columns": {"id": "bigint", "c": "string", "text": "string"}}}},
}


def lines(rounds, rnd):
    """A record for every partition in each round, in another order each time."""
    for r in rounds:
        for c in rnd.sample(range(PARTITIONS), PARTITIONS):
            yield b'{"id":%d,"c":"customer %05d","text":"%0*x"}' % (r * PARTITIONS + c, c, TEXT_BYTES, rnd.getrandbits(TEXT_BYTES * 4))


class Sampler(threading.Thread):
    """Highest RSS, looked at ten times a second; the kernel's own peak besides."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.ended, self.rss = process, threading.Event(), 0
        self.start()

    def run(self):
        while not self.ended.wait(0.1) and self.process.alive():
            try:
                self.rss = max(self.rss, self.process.status_kb("VmRSS") >> 10)
            except (OSError, AttributeError):
                return  # it ended just now

    def peak(self):
        self.ended.set()
        self.join()
        return max(self.rss, lake.peak_mb(self.process))


def rows(root, kind):
    hive = "hive_partitioning=true, hive_types={c: VARCHAR}"
    return f"read_json('{root}/**/*.gz', columns={{id: 'BIGINT', text: 'VARCHAR'}}, format='newline_delimited', {hive})" if kind == "json" \
        else f"read_parquet('{root}/**/*.parquet', {hive})"


def check_objects(root, kind):
    """Every record once, in the folder of its customer."""
    want = PARTITIONS * ROUNDS
    got = lake.duck(f"SELECT count(*), count(DISTINCT id), sum(id), count(*) FILTER (c = printf('customer %05d', id % {PARTITIONS})), "
                    f"min(length(text)), max(length(text)), count(DISTINCT c) FROM {rows(root, kind)}")[0]
    check(got == (want, want, want * (want - 1) // 2, want, TEXT_BYTES, TEXT_BYTES, PARTITIONS),
          f"(records, distinct, sum, in their folder, shortest, longest, folders) are {got}")


def objects(root):
    return sum(len(names) for _, _, names in os.walk(root))


def main(kind):
    stream = lake.lake_stream("many", prefix="many/c=!{partitionKeyFromQuery:c}/", size="64MB", interval=f"{INTERVAL_S}s",
                              processors=[{"partition": {"c": ".c"}}], **FORMATS[kind])
    rnd, peaks = random.Random(7), []
    with workspace(f"many-partitions-{kind}") as folder:
        daemon = Daemon(folder, [stream], "file")
        root = os.path.join(daemon.data_dir, "s3", "lake", "many")
        with running(daemon):
            daemon.start()
            sampler, t0 = Sampler(daemon.process), time.monotonic()
            lake.send(daemon, "many", lines(range(ROUNDS // 2), rnd))
            put = time.monotonic() - t0
            check(not objects(root), "partitions were closed before all were open: this case does not show what it is for")
            peaks.append(sampler.peak())
            daemon.kill()  # all open, nothing delivered
            t0 = time.monotonic()
            daemon.start()
            ready, sampler = time.monotonic() - t0, Sampler(daemon.process)
            lake.send(daemon, "many", lines(range(ROUNDS // 2, ROUNDS), rnd))
            wait_for("a fifth of the partitions is delivered", lambda: objects(root) > PARTITIONS // 5, INTERVAL_S + 60)
            peaks.append(sampler.peak())
            daemon.kill()  # some delivered, some under way, most not
            t0 = time.monotonic()
            daemon.start()
            sampler = Sampler(daemon.process)
            lake.drain(daemon, 240)
            drained = time.monotonic() - t0
            peaks.append(sampler.peak())
            daemon.stop()
            check_objects(root, kind)
            print(f"{PARTITIONS} partitions, {PARTITIONS * ROUNDS} records, {objects(root)} objects; half put in {put:.1f} s, ready after SIGKILL in "
                  f"{ready:.2f} s; killed again amid delivery, the rest delivered in {drained:.1f} s")
            print(f"peak RSS {peaks} MB: all partitions open; after the first kill; after the second")
            check(max(peaks) < RSS_LIMIT_MB, f"the limit is {RSS_LIMIT_MB} MB")


main(*sys.argv[1:])
