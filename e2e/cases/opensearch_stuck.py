"""A destination that accepts connections and never answers, for one of three streams: the others go as fast as before, memory stays bounded
although much waits, kill and stop are survived, and when it answers again everything is delivered once."""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flights
import lake
import search
from faultproxy import FaultProxy
from harness import MB, S3, Daemon, check, running, s3_stream, wait_for, workspace
from opensearch import OpenSearch

SOME = 60_000  # flights in each part
STUCK, PAD = 100_000, b"x" * 3000
STOP_SECONDS, MOST_RSS = 3, 150
MAPPING = {"settings": search.MAPPING["settings"], "mappings": {"dynamic": False, "properties": {"n": {"type": "integer"}}}}


class Large(search.Numbered):
    """Records of 3 KB: what waits is much more than the daemon may hold in memory."""

    def record(self, n):
        return b'{"n":%d,"pad":"%s"}' % (n, PAD)


def numbered(lines, first):
    return [b'{"n":%d,' % (first + i) + x[1:] for i, x in enumerate(lines)]


def fast(daemon, node, s3, lines, upto):
    """Sends to both well streams at once; seconds until all of it is delivered."""
    t0, seen = time.monotonic(), {}
    lake.in_threads([lambda n=n: lake.send(daemon, n, lines) for n in ("well", "objects")])
    wait_for("OpenSearch has them", lambda: node.count("well") == upto, 60, every=0.25)
    wait_for("the bucket has them", lambda: sum(b.count(b"\n") for _, b in s3.objects("lake", seen=seen)) == upto, 60, every=0.25)
    return time.monotonic() - t0


def once(node, name, count, record):
    documents = node.documents(name).values()
    check(sorted(d["n"] for d in documents) == list(range(count)), f"{name}: {len(documents)} documents of {count} records, or some are there twice")
    check(all(d == json.loads(record(d["n"])) for d in documents), f"{name}: a document is not as it was sent")


def main():
    lines = numbered(flights.load(2 * SOME), 0)
    with workspace("opensearch-stuck") as folder:
        s3, node = S3(folder), OpenSearch(folder)
        proxy = FaultProxy(node.port).start()
        streams = [search.stream("stuck", proxy.url, {"timeout": "5s"}), search.stream("well", node.url), s3_stream("objects", "lake")]
        daemon = Daemon(folder, streams, "s3", s3, shutdown_timeout=f"{STOP_SECONDS}s")
        with running(daemon, s3, node):
            for bucket in (search.FAILED, "lake"):
                (s3 if s3.process else s3.start()).make_bucket(bucket)
            node.start()
            node.ask("PUT", "/stuck", MAPPING)
            node.ask("PUT", "/well", search.MAPPING)
            daemon.start()
            before = fast(daemon, node, s3, lines[:SOME], SOME)
            proxy.set(half_open=True)
            source = Large(daemon, "stuck", limit=STUCK)
            source.send()
            told = wait_for("the stuck one says so", lambda: (d := search.delivery(daemon, "stuck")).get("retrying") and d, 60)
            check(told["code"] == "OpenSearch.RequestTimeout", f"the stuck one says {told}")
            beside = fast(daemon, node, s3, lines[SOME:], 2 * SOME)
            check(beside < 1.5 * before + 3, f"the others took {beside:.1f} s beside a stuck one, {before:.1f} s without")
            waits = sum(v for k, v in daemon.metrics().items() if k.startswith("hydrant_backlog_bytes") and 'stream="stuck"' in k)
            peak = lake.peak_mb(daemon.process)
            check(waits > STUCK * len(PAD), f"only {waits / MB:.0f} MB wait")
            daemon.kill()
            daemon.start()
            wait_for("the stuck one says so again", lambda: search.delivery(daemon, "stuck").get("retrying"), 60)
            peak = max(peak, lake.peak_mb(daemon.process))
            t0 = time.monotonic()
            daemon.stop()
            stopped = time.monotonic() - t0
            check(stopped < STOP_SECONDS + 5, f"stopping took {stopped:.1f} s")
            daemon.start()
            check(node.count("stuck") == 0, "the stuck stream delivered")
            proxy.heal()
            lake.drain(daemon, 90)
            peak = max(peak, lake.peak_mb(daemon.process))
            check(peak < MOST_RSS, f"peak RSS {peak} MB")
            daemon.stop()
            once(node, "stuck", STUCK, source.record)
            once(node, "well", 2 * SOME, lambda n: lines[n])
            check(not s3.objects(search.FAILED), "something was set aside")
            print(f"others {before:.1f} s alone, {beside:.1f} s beside a stuck one with {waits / MB:.0f} MB; stopped in {stopped:.1f} s; peak RSS {peak} MB")
        proxy.stop()


main()
