"""Numbered flights into a data stream of a real OpenSearch, which takes nothing but `create` and wants a time in every document: that of
the record's arrival, or its own where it has one. The daemon and the node are killed meanwhile, and the data stream rolls over."""
import datetime
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import search
from harness import S3, Daemon, check, running, wait_for, workspace
from opensearch import OpenSearch

NAME, SOME, KILLS = "logs-flights", 60_000, 3
OWN, BAD = "2020-02-02T02:02:02.020Z", "the day before yesterday"


class Timed(search.Numbered):
    """Some flights have a time of their own; that of the bad ones is none."""

    def record(self, n):
        line = b'{"n":%d,' % n + self.lines[n][1:]
        own = BAD if self.is_bad(n) else OWN if n % 100 == 3 else None
        return line[:-1] + b',"@timestamp":"%s"}' % own.encode() if own else line


def roll_over(node, daemon):
    """While nothing is under way: a repeat in another index would not be known there."""
    lake.drain(daemon, 60)
    answer = node.ask("POST", f"/{NAME}/_rollover")
    check(answer["rolled_over"], f"rollover: {answer}")


def arrivals(documents, first, last):
    """The times that were added are taken from the documents; each must lie between first and last."""
    added = 0
    for d in documents.values():
        if d["@timestamp"] != OWN:
            at = datetime.datetime.fromisoformat(d.pop("@timestamp"))
            check(first <= at <= last, f"{d['n']} arrived at {at}, not between {first} and {last}")
            added += 1
    return added


def now():
    return datetime.datetime.now(datetime.UTC)


def main():
    with workspace("opensearch-data-stream") as folder:
        s3, node = S3(folder), OpenSearch(folder)
        daemon = Daemon(folder, [search.stream(NAME, node.url, {"timestamp": "@timestamp"}, buffer={"size": "1MB"})], "s3", s3)
        with running(daemon, s3, node):
            s3.start().make_bucket(search.FAILED)
            node.start()
            template = {"settings": search.MAPPING["settings"], "mappings": {"properties": {**search.MAPPING["mappings"]["properties"], "@timestamp": {"type": "date"}}}}
            node.ask("PUT", "/_index_template/flights", {"index_patterns": [NAME], "data_stream": {}, "template": template, "priority": 500})
            daemon.start()
            first = now() - datetime.timedelta(milliseconds=1)  # arrivals are whole milliseconds
            source = Timed(daemon, NAME, bad=500, limit=SOME // 2)
            source.send()
            roll_over(node, daemon)
            source.extend(SOME)
            sending = source.in_background()
            for n in range(KILLS):
                wait_for("records are accepted", lambda n=n: source.sent >= SOME // 2 + (n + 1) * SOME // 10, 60, every=0.02)
                daemon.kill()
                daemon.start()
                if n == 1:
                    node.restart()
            sending.join()
            lake.drain(daemon, 90)
            daemon.stop()
            last, backing = now(), node.indices(f"*{NAME}*")
            check(len(backing) == 2 and all(i.startswith(f".ds-{NAME}-") for i in backing), f"indices {backing}")
            check(min(backing.values()) > SOME // 3, f"documents in the indices: {backing}")
            documents, errors = node.documents(NAME), search.errors(s3, NAME)
            added = arrivals(documents, first, last)
            source.compare(documents, errors)
            check(all(e["errorCode"] == "400" and "@timestamp" in e["errorMessage"] and e["esIndexName"] == NAME for e in errors), f"such as {errors[:1]}")
            print(f"{len(documents)} documents in {len(backing)} indices, {added} of them with their arrival, {len(errors)} set aside; {KILLS} kills of the daemon, 1 of the node")


main()
