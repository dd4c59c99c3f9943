"""Flights into a real OpenSearch while the node and the daemon are killed again and again, an answer is lost, writes are blocked, the cluster
answers 429, and every 500th record does not fit the mapping: nothing lost, nothing twice, the bad ones in the backup with the cluster's reason."""
import collections
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import search
from faultproxy import FaultProxy
from harness import S3, Daemon, check, running, wait_for, workspace
from opensearch import OpenSearch

KILLS = 6
INDEX = "flights"


class Case:
    def __init__(self, folder):
        self.s3, self.node = S3(folder), OpenSearch(folder)
        self.proxy = FaultProxy(self.node.port).start()
        self.daemon = Daemon(folder, [search.stream(INDEX, self.proxy.url)], "s3", self.s3)
        self.retries = collections.Counter()  # by code, of the lives that are over
        self.kills, self.found = 0, 0  # found: documents that were there when they were sent

    def start(self):
        self.s3.start().make_bucket(search.FAILED)
        self.node.start()
        self.node.ask("PUT", f"/_index_template/{INDEX}", {"index_patterns": [INDEX], "template": search.MAPPING, "priority": 500})
        self.daemon.start()
        self.source = search.Numbered(self.daemon, INDEX, bad=500)

    def kill(self):
        self.retries += search.retries(self.daemon)
        self.daemon.kill()
        self.daemon.start()
        self.kills += 1

    def more(self, n):
        """Waits until n further records were accepted, or all."""
        enough = min(self.source.sent + n, len(self.source.lines))
        wait_for("records are accepted", lambda: self.source.sent >= enough, 90, every=0.02)

    def restart_node(self):
        """The daemon is killed, too, while it is down."""
        self.found += self.conflicts()
        self.node.kill()
        self.more(4_000)
        self.kill()
        self.more(4_000)
        self.node.start()
        wait_for("the index is there", self._index_there, 60)

    def _index_there(self):
        return self.node.request("GET", f"/_cluster/health/{INDEX}?wait_for_status=yellow&timeout=1s")[0] == 200

    def conflicts(self):
        """Of ids, as the node counts them while it lives; a document that does not fit the mapping is none of these."""
        stats = self.node.ask("GET", "/_nodes/stats/indices/indexing")["nodes"]
        return sum(n["indices"]["indexing"]["index_failed"] for n in stats.values())

    def lose_answer(self):
        """The documents are there, and come once more."""
        before = self.conflicts()
        self.proxy.set(cut_down=0, times=1)
        wait_for("documents come once more", lambda: self.conflicts() > before, 60)
        self.proxy.heal()

    def block(self):
        """Nobody may write for as long as it takes until the daemon says so."""
        self.node.ask("PUT", f"/{INDEX}/_settings", {"index.blocks.write": True})
        wait_for("the block is told", lambda: search.retries(self.daemon, "403") > 0, 30)
        self.node.ask("PUT", f"/{INDEX}/_settings", {"index.blocks.write": False})

    def throttle(self):
        """The breaker of the node's memory makes it answer 429."""
        self._limit("1%")
        wait_for("429 is told", lambda: search.retries(self.daemon, "OpenSearch.TooManyRequests") + search.retries(self.daemon, "429") > 0, 30)
        self._limit(None)

    def _limit(self, value):
        self.node.ask("PUT", "/_cluster/settings", {"transient": {"indices.breaker.total.limit": value}})

    def end(self):
        self.kill()
        lake.drain(self.daemon, 150)
        self.retries += search.retries(self.daemon)
        self.daemon.stop()
        self.found += self.conflicts()

    def compare(self):
        documents, errors = self.node.documents(INDEX), search.errors(self.s3, INDEX)
        self.source.compare(documents, errors)
        for e in errors:
            check(e["errorCode"] == "400" and "delay" in e["errorMessage"] and "mapper_parsing_exception" in e["errorMessage"], f"error record {e}")
            check(e["esIndexName"] == INDEX and e["esDocumentId"] not in documents and e["attemptsMade"] >= 1, f"error record {e}")
        check(len({e["esDocumentId"] for e in errors}) == len(errors), "error records have the same document's id")
        return len(documents), len(errors)


def main():
    with workspace("opensearch-faults") as folder:
        case = Case(folder)
        with running(case.daemon, case.s3, case.node):
            case.start()
            sending = case.source.in_background()
            events = {0: case.lose_answer, 1: case.restart_node, 2: case.block, 3: case.throttle, 4: case.restart_node}
            for n in range(KILLS):
                case.more(15_000)
                case.kill()
                events.get(n, lambda: None)()
            sending.join()
            case.end()
            documents, errors = case.compare()
            print(f"{documents} documents, {errors} set aside, {case.kills} kills of the daemon, 2 of the node; {case.found} found to be there already; "
                  f"retries: {dict(case.retries)}")
        case.proxy.stop()


main()
