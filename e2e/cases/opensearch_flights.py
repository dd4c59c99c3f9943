"""231,083 flights into a real OpenSearch, over the Firehose API and over /v1, plain and gzipped, with and without rotation: counts and
aggregations equal the source."""
import datetime
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flights
import lake
import search
from faultproxy import UP, FaultProxy
from harness import Daemon, check, running, workspace
from opensearch import OpenSearch

PRODUCERS = 4


def put_batches(daemon, name, lines):
    client = daemon.firehose()
    for at in range(0, len(lines), 500):
        answer = client.put_record_batch(DeliveryStreamName=name, Records=[{"Data": x} for x in lines[at:at + 500]])
        check(answer["FailedPutCount"] == 0, f"FailedPutCount is {answer['FailedPutCount']}")


def compare(node, index, rows):
    check(node.count(index) == len(rows), f"{index}: {node.count(index)} documents, {len(rows)} flights")
    got = node.aggs(index, delay={"sum": {"field": "delay"}}, distance={"sum": {"field": "distance"}}, mean={"avg": {"field": "time"}},
                    most={"max": {"field": "delay"}}, far={"terms": {"field": "distance", "size": 20, "order": [{"_count": "desc"}, {"_key": "asc"}]}})
    check(got["delay"] == sum(r["delay"] for r in rows), f"{index}: delays {got['delay']}")
    check(got["distance"] == sum(r["distance"] for r in rows), f"{index}: distances {got['distance']}")
    check(abs(got["mean"] - sum(r["time"] for r in rows) / len(rows)) < 1e-6, f"{index}: mean time {got['mean']}")
    check(got["most"] == max(r["delay"] for r in rows), f"{index}: longest delay {got['most']}")
    by = {}
    for r in rows:
        by[r["distance"]] = by.get(r["distance"], 0) + 1
    want = sorted(by.items(), key=lambda kv: (-kv[1], kv[0]))[:20]
    check([(b["key"], b["doc_count"]) for b in got["far"]["buckets"]] == want, f"{index}: distances {got['far']['buckets'][:3]}, want {want[:3]}")


def days(start):
    """The indices of the stream that rotates, from the day the records began to come to today."""
    return {f"daily-{d:%Y-%m-%d}" for d in (start, datetime.datetime.now(datetime.UTC))}


def main():
    lines = flights.load()
    rows, size = [json.loads(x) for x in lines], sum(map(len, lines))
    with workspace("opensearch-flights") as folder:
        node = OpenSearch(folder)
        proxies = [FaultProxy(node.port).start() for _ in range(2)]  # they count what goes over the wire
        plain, zipped = proxies
        streams = [search.stream("plain", plain.url), search.stream("daily", zipped.url, {"rotation": "day", "content_encoding": "gzip"})]
        daemon = Daemon(folder, streams, "file")
        with running(daemon, node):
            node.start()
            for name, pattern in (("plain", "plain"), ("daily", "daily-*")):
                node.ask("PUT", f"/_index_template/{name}", {"index_patterns": [pattern], "template": search.MAPPING, "priority": 500})
            daemon.start()
            start = datetime.datetime.now(datetime.UTC)
            lists = flights.split(lines, PRODUCERS)
            lake.in_threads([lambda part=part: put_batches(daemon, "plain", part) for part in lists])
            lake.in_threads([lambda part=part: lake.send(daemon, "daily", part) for part in lists])
            lake.drain(daemon, 150)
            compare(node, "plain", rows)
            compare(node, "daily-*", rows)
            check(set(node.indices("daily*")) <= days(start), f"indices {node.indices('daily*')}")
            check(not os.path.exists(os.path.join(daemon.data_dir, "s3", search.FAILED)), "something was set aside")
            check(plain.bytes[UP] > size and zipped.bytes[UP] < size / 2, f"{plain.bytes[UP]} bytes sent plain, {zipped.bytes[UP]} zipped, of {size}")
            daemon.stop()
            print(f"2 * {len(lines)} flights on OpenSearch {node.version()}; {plain.bytes[UP] >> 20} MB plain, {zipped.bytes[UP] >> 20} MB zipped, of {size >> 20} MB")
        for p in proxies:
            p.stop()


main()
