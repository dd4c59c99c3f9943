"""A destination that accepts connections and never answers, for one of three streams: the others go at full speed, memory stays bounded, and
when it answers again everything is delivered once. Beside it a backup of all records, across kills; and retries that end."""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flights
import lake
import search
from faultproxy import FaultProxy
from harness import S3, Daemon, check, running, s3_stream, wait_for, workspace
from opensearch import OpenSearch

SOME = 60_000


def main():
    lines = flights.load(SOME)
    with workspace("opensearch-stuck") as folder:
        s3, node = S3(folder), OpenSearch(folder)
        proxy = FaultProxy(node.port).start()
        everything = {"mode": "all", "s3": {"bucket": search.FAILED, "prefix": "all/"}, "buffer": {"size": "1MB", "interval": "1s"}, "compression": "none"}
        streams = [search.stream("stuck", proxy.url, {"timeout": "5s"}), search.stream("well", node.url, backup=everything), s3_stream("objects", "lake"),
                   search.stream("gone", "http://127.0.0.1:9", retry={"for": "3s"})]
        daemon = Daemon(folder, streams, "s3", s3)
        with running(daemon, s3, node):
            s3.start().make_bucket(search.FAILED)
            s3.make_bucket("lake")
            node.start()
            for index in ("stuck", "well"):
                node.ask("PUT", "/" + index, search.MAPPING)
            proxy.set(half_open=True)
            daemon.start()
            lake.send(daemon, "stuck", lines)
            lake.send(daemon, "gone", lines[:2000])
            t0 = time.monotonic()
            lake.in_threads([lambda: lake.send(daemon, "well", lines), lambda: lake.send(daemon, "objects", lines)])
            wait_for("the others are delivered", lambda: node.count("well") == SOME, 60, every=0.5)
            daemon.kill()
            daemon.start()
            wait_for("all objects are there", lambda: sum(b.count(b"\n") for _, b in s3.objects("lake")) == SOME, 60, every=0.5)
            took = time.monotonic() - t0
            told = wait_for("the stuck one says so", lambda: (d := search.delivery(daemon, "stuck")).get("retrying") and d, 60)
            check(node.count("stuck") == 0, "the stuck stream delivered")
            rss = daemon.process.status_kb("VmHWM") / 1024
            check(rss < 200, f"peak RSS {rss:.0f} MB")
            proxy.heal()
            wait_for("the stuck one is delivered", lambda: node.count("stuck") == SOME, 90, every=0.5)
            lake.drain(daemon, 60)
            daemon.stop()
            copies = [json.loads(x) for k, b in s3.objects(search.FAILED, "all/") for x in b.replace(b"}{", b"}\n{").splitlines()]  # as they came: without line breaks
            check(sorted(map(json.dumps, copies)) == sorted(json.dumps(json.loads(x)) for x in lines), f"{len(copies)} copies of {SOME} records")
            given_up = search.errors(s3, "gone")
            check(sorted(e["rawData"] for e in given_up) == sorted(lines[:2000]), f"{len(given_up)} of 2000 records were given up")
            check(all(e["errorCode"] == "OpenSearch.ConnectionFailed" and e["attemptsMade"] > 1 for e in given_up), f"{given_up[:1]}")
            print(f"others {took:.1f} s beside a stuck one ({told['code']}), peak RSS {rss:.0f} MB")
        proxy.stop()


main()
