"""OpenSearch, one node without a security plugin. It may be killed and started again on the same port with the same data."""
import contextlib
import http.client
import json
import os
import re
import urllib.parse

from harness import CACHE, Failed, Process, check, free_port, wait_for

SERVER = os.path.join(CACHE, "opensearch")
JVM = ["-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
HEALTHY = ("green", "yellow")


def settings(port):
    """A transport port is needed too, although nothing else joins: 0 lets the node choose."""
    return {"cluster.name": "e2e", "node.name": "one", "discovery.type": "single-node", "network.host": "127.0.0.1", "http.port": port,
            "transport.port": 0, "transport.type": "netty4", "http.type": "netty4", "cluster.routing.allocation.disk.threshold_enabled": "false"}


def parse(raw):
    try:
        return json.loads(raw)
    except ValueError:
        return raw


class OpenSearch:
    """more: settings of the node, such as {"action.auto_create_index": "false"}."""

    def __init__(self, folder, more=None):
        self.folder, self.port, self.process = os.path.join(folder, "opensearch"), free_port(), None
        self.url = f"http://127.0.0.1:{self.port}"
        pairs = [f"{k}={v}" for k, v in {**settings(self.port), **(more or {})}.items()]
        os.makedirs(self.folder)
        path = os.pathsep.join([os.path.join(SERVER, "classes"), os.path.join(SERVER, "lib", "*")])
        self.argv = [os.path.join(SERVER, "java"), *JVM, "-cp", path, "SearchServer", self.folder, *pairs]

    def start(self, seconds=120):
        self.process = Process("opensearch", self.argv, self.folder)
        wait_for("OpenSearch is green or yellow", self._ready, seconds)
        return self

    def _ready(self):
        check(self.process.alive(), "OpenSearch ended:\n" + self.process.log()[-3000:])
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, answer = self.request("GET", "/_cluster/health?local=true", timeout=5)
            return status == 200 and answer["status"] in HEALTHY
        return False

    def kill(self):
        """SIGKILL. What it acknowledged must be there after the next start."""
        return self.process.kill()

    def restart(self, seconds=120):
        """Kills it and starts it again: same port, same data."""
        self.kill()
        return self.start(seconds)

    def stop(self, seconds=60):
        code = self.process.stop(seconds)
        check(code in (0, 143), f"OpenSearch ended with {code} on SIGTERM:\n" + self.process.log()[-3000:])  # 143: Java's own after SIGTERM

    def request(self, method, path, body=None, headers=None, timeout=60):
        """(status, parsed or raw answer). A dict is sent as JSON, text and bytes as they are (a body of _bulk)."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
            r = c.getresponse()
            return r.status, parse(r.read())
        finally:
            c.close()

    def ask(self, method, path, body=None, **more):
        """Like request, but returns the answer alone and fails unless the status is 2xx."""
        status, answer = self.request(method, path, body, **more)
        if status // 100 != 2:
            raise Failed(f"OpenSearch: {method} {path}: {status} {str(answer)[:2000]}")
        return answer

    def version(self):
        return self.ask("GET", "/")["version"]["number"]

    def refresh(self, index="_all"):
        """Makes what was written visible to searches. No index there is no failure: nothing is visible then."""
        self.ask("POST", f"/{quoted(index)}/_refresh?ignore_unavailable=true&allow_no_indices=true")

    def count(self, index="_all", query=None, refresh=True):
        """How many documents there are, the newest included."""
        if refresh:
            self.refresh(index)
        body = {"query": query} if query else None
        return self.ask("GET", f"/{quoted(index)}/_count?ignore_unavailable=true&allow_no_indices=true", body)["count"]

    def search(self, index, size=10, **body):
        """The answer of one search; further parts of its body by name: query, sort, aggs."""
        return self.ask("POST", f"/{quoted(index)}/_search", {"size": size, "track_total_hits": True, **body})

    def aggs(self, index, query=None, **aggs):
        """Aggregations by name, as {name: value}; those without a single value (buckets) as OpenSearch answers them."""
        self.refresh(index)
        answer = self.search(index, size=0, aggs=aggs, **({"query": query} if query else {}))["aggregations"]
        return {name: a["value"] if set(a) <= {"value", "value_as_string"} else a for name, a in answer.items()}

    def documents(self, index, page=5000):
        """{id: source} of every document, in pages, whatever their number. An id in two indices is a failure."""
        self.refresh(index)
        answer = self.ask("POST", f"/{quoted(index)}/_search?scroll=1m", {"size": page, "sort": ["_doc"]})
        out = {}
        while answer["hits"]["hits"]:
            for hit in answer["hits"]["hits"]:
                check(hit["_id"] not in out, f"{index}: the id {hit['_id']} is there twice")
                out[hit["_id"]] = hit["_source"]
            answer = self.ask("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": answer["_scroll_id"]})
        self.ask("DELETE", "/_search/scroll", {"scroll_id": answer["_scroll_id"]})
        return out

    def indices(self, pattern="*"):
        """{name: documents}, without the server's own."""
        self.refresh(pattern)
        rows = self.ask("GET", f"/_cat/indices/{quoted(pattern)}?format=json&h=index,docs.count&expand_wildcards=all")
        return {r["index"]: int(r["docs.count"]) for r in rows if not re.match(r"\.(?!ds-)", r["index"])}


def quoted(index):
    """An index name or pattern as a part of a path."""
    return urllib.parse.quote(index, safe="*,")
