"""231,083 flights into a real OpenSearch, over the Firehose API and over /v1, plain and gzipped, with and without rotation: counts and
aggregations equal the source. And a data stream whose documents get their time from their arrival."""
import datetime
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flights
import lake
import search
from harness import Daemon, check, running, workspace
from opensearch import OpenSearch

SOME = 40_000


def put_batches(daemon, name, lines):
    client = daemon.firehose()
    for at in range(0, len(lines), 500):
        answer = client.put_record_batch(DeliveryStreamName=name, Records=[{"Data": x} for x in lines[at:at + 500]])
        check(answer["FailedPutCount"] == 0, f"FailedPutCount is {answer['FailedPutCount']}")


def compare(node, index, lines):
    rows = [json.loads(x) for x in lines]
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


def main():
    all_of_them, some = flights.load(), flights.load(SOME)
    with workspace("opensearch-flights") as folder:
        node = OpenSearch(folder)
        streams = [search.stream("plain", node.url), search.stream("daily", node.url, {"rotation": "day", "content_encoding": "gzip"}),
                   search.stream("logs-e2e", node.url, {"timestamp": "@timestamp"})]
        daemon = Daemon(folder, streams, "file")
        with running(daemon, node):
            node.start()
            for index in ("plain", "daily*"):
                node.ask("PUT", f"/_index_template/{index.strip('*')}", {"index_patterns": [index], "template": search.MAPPING, "priority": 500})
            node.ask("PUT", "/_index_template/logs-e2e", {"index_patterns": ["logs-e2e"], "data_stream": {}, "template": search.MAPPING, "priority": 500})
            daemon.start()
            lists = flights.split(all_of_them, 4)
            lake.in_threads([lambda part=part: put_batches(daemon, "plain", part) for part in lists])
            lake.in_threads([lambda: lake.send(daemon, "daily", some), lambda: lake.send(daemon, "logs-e2e", some[:1000])])
            lake.drain(daemon, 150)
            compare(node, "plain", all_of_them)
            compare(node, "daily-*", some)
            days = {f"daily-{d:%Y-%m-%d}" for d in (datetime.datetime.now(datetime.UTC), datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5))}
            check(set(node.indices("daily-*")) <= days, f"indices {node.indices('daily-*')}")
            check(all(i.startswith(".ds-logs-e2e-") for i in node.indices("*logs-e2e*")), f"indices {node.indices('*')}")
            check(node.count("logs-e2e") == 1000, f"{node.count('logs-e2e')} documents in the data stream")
            times = node.aggs("logs-e2e", first={"min": {"field": "@timestamp"}})
            check(abs(times["first"] / 1000 - datetime.datetime.now().timestamp()) < 600, f"arrival {times}")
            daemon.stop()
            print(f"{len(all_of_them)} + {len(some)} + 1000 flights on OpenSearch {node.version()}")


main()
