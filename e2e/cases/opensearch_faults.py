"""Flights into a real OpenSearch while the node and the daemon are killed again and again, writes are blocked, the cluster answers 429, and
every 500th record does not fit the mapping: nothing lost, nothing twice, the bad ones in the backup with the cluster's reason."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import search
from harness import S3, Daemon, check, running, wait_for, workspace
from opensearch import OpenSearch

KILLS = 6


def settings(node, **values):
    node.ask("PUT", "/_cluster/settings", {"transient": {k.replace("__", "."): v for k, v in values.items()}})


def retries(daemon, code):
    return sum(v for k, v in daemon.metrics().items() if k.startswith("hydrant_delivery_retries_total{") and f'code="{code}"' in k)


def kill_daemon(daemon):
    daemon.kill()
    daemon.start()


def blocked(node, daemon, source):
    """Nobody may write for as long as it takes until the daemon says so."""
    node.ask("PUT", "/flights/_settings", {"index.blocks.write": True})
    wait_for("the block is told", lambda: retries(daemon, "403") > 0, 30)
    node.ask("PUT", "/flights/_settings", {"index.blocks.write": False})


def throttled(node, daemon, source):
    settings(node, indices__breaker__total__limit="1%")
    wait_for("429 is told", lambda: retries(daemon, "OpenSearch.TooManyRequests") + retries(daemon, "429") > 0, 30)
    settings(node, indices__breaker__total__limit=None)


def more(daemon, source, n):
    """Waits until n further records were accepted, or all."""
    enough = min(source.sent + n, len(source.lines))
    wait_for("records are accepted", lambda: source.sent >= enough, 90, every=0.02)


def main():
    with workspace("opensearch-faults") as folder:
        s3, node = S3(folder), OpenSearch(folder)
        daemon = Daemon(folder, [search.stream("flights", node.url)], "s3", s3)
        with running(daemon, s3, node):
            s3.start().make_bucket(search.FAILED)
            node.start()
            node.ask("PUT", "/flights", search.MAPPING)
            daemon.start()
            source = search.Numbered(daemon, "flights", bad=500)
            sending = source.in_background()
            for n in range(KILLS):
                more(daemon, source, 15_000)
                kill_daemon(daemon)
                if n in (1, 4):
                    node.kill()
                    more(daemon, source, 8_000)
                    node.start()
                    wait_for("the index is there", lambda: node.request("GET", "/_cluster/health/flights?wait_for_status=yellow&timeout=1s")[0] == 200, 60)
                if n == 2:
                    blocked(node, daemon, source)
                if n == 3:
                    throttled(node, daemon, source)
            sending.join()
            kill_daemon(daemon)
            lake.drain(daemon, 150)
            daemon.stop()
            documents, errors = node.documents("flights"), search.errors(s3, "flights")
            source.compare(documents, errors)
            for e in errors:
                check(e["errorCode"] == "400" and "delay" in e["errorMessage"] and "mapper_parsing_exception" in e["errorMessage"], f"error record {e}")
                check(e["esIndexName"] == "flights" and e["esDocumentId"] not in documents and e["attemptsMade"] >= 1, f"error record {e}")
            print(f"{len(documents)} documents, {len(errors)} set aside, {KILLS + 1} kills of the daemon, 2 of the node")


main()
