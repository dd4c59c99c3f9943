"""What the cases about OpenSearch share: streams, numbered flights that are sent until they are accepted, and the comparison."""
import base64
import collections
import http.client
import json
import re
import threading
import time
import urllib.request

import flights
from harness import check

FAILED = "failed"
AT_ONCE = 1000
MAPPING = {"settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "5s"},
           "mappings": {"properties": {"n": {"type": "integer"}, "delay": {"type": "integer"}, "distance": {"type": "integer"}, "time": {"type": "double"}}}}


def stream(name, url, destination=None, **more):
    buffer = {"size": "4MB", "interval": "1s", **more.pop("buffer", {})}
    backup = {"mode": "failed", "s3": {"bucket": FAILED, "prefix": f"{name}/"}, **more.pop("backup", {})}
    return {"name": name, "buffer": buffer, "retry": {"for": "7200s"}, "backup": backup,
            "destination": {"opensearch": {"url": url, "index": name, "rotation": "none", **(destination or {})}}, **more}


class Numbered:
    """Flights with a number each. A body is sent under its own Idempotency-Key until it is accepted, whatever happens to the daemon: each
    record is to be taken once. Every bad-th record has a delay that is no number; 0: none."""

    def __init__(self, daemon, name, bad=0, limit=None):
        self.daemon, self.name, self.bad, self.lines = daemon, name, bad, flights.load(limit)
        self.sent = 0

    def is_bad(self, n):
        return self.bad and n % self.bad == 7

    def record(self, n):
        line = self.lines[n]
        if self.is_bad(n):
            line = b'{"delay":"late",' + line.split(b",", 1)[1]
        return b'{"n":%d,' % n + line[1:]

    def send(self, seconds=150):
        end, at = time.monotonic() + seconds, self.sent
        while at < len(self.lines):
            part = range(at, min(at + AT_ONCE, len(self.lines)))
            body = b"\n".join(map(self.record, part))
            while not self.once(body, f"{self.name}-{at}", len(part)):
                check(time.monotonic() < end, f"{self.name}: record {at} was not accepted in {seconds} s")
                time.sleep(0.1)
            at = self.sent = part.stop

    def extend(self, limit):
        """Further flights, for the next send."""
        self.lines = flights.load(limit)

    def once(self, body, key, count):
        c = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=30)
        try:
            c.request("POST", f"/v1/streams/{self.name}/records", body, {"Content-Type": "application/x-ndjson", "Idempotency-Key": key})
            r = c.getresponse()
            answer = r.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            c.close()
        if r.status == 503:
            return False
        check(r.status == 200 and json.loads(answer) == {"accepted": count}, f"{r.status} {answer[:300]}")
        return True

    def in_background(self):
        """A thread that sends all; its join raises what went wrong."""
        return Background(self.send)

    def good(self):
        return [n for n in range(len(self.lines)) if not self.is_bad(n)]

    def compare(self, documents, errors):
        """Every good record is a document once, as it was; every bad one is an error record once; nothing else is there."""
        seen = collections.Counter(d["n"] for d in documents.values())
        check(not (twice := [n for n, k in seen.items() if k > 1]), f"{len(twice)} records are there twice, such as {twice[:5]}")
        lost = [n for n in self.good() if n not in seen]
        check(not lost, f"{len(lost)} records are lost, such as {lost[:5]}")
        check(len(seen) == len(self.good()), f"{len(seen)} documents, {len(self.good())} expected")
        wrong = [d for d in documents.values() if d != json.loads(self.record(d["n"]))]
        check(not wrong, f"{len(wrong)} documents are not as they were sent, such as {wrong[:2]}")
        aside = collections.Counter(json.loads(e["rawData"])["n"] for e in errors)
        bad = [n for n in range(len(self.lines)) if self.is_bad(n)]
        check(sorted(aside.elements()) == bad, f"{aside.total()} error records of {len(bad)} bad ones; twice: {[n for n, k in aside.items() if k > 1][:5]}")


class Background:
    def __init__(self, work):
        self.error = None
        self.thread = threading.Thread(target=self.run, args=(work,), daemon=True)
        self.thread.start()

    def run(self, work):
        try:
            work()
        except Exception as e:  # raised again by join
            self.error = e

    def join(self):
        self.thread.join()
        if self.error:
            raise self.error


def errors(store, name, kind="AmazonOpenSearchService-failed"):
    """The error records of a stream, rawData decoded; all must be of the kind."""
    out = []
    for key, body in store.objects(FAILED, f"{name}/"):
        check(key.startswith(f"{name}/{kind}/"), f"unexpected object {key}")
        for line in body.splitlines():
            e = json.loads(line)
            e["rawData"] = base64.b64decode(e["rawData"], validate=True)
            out.append(e)
    return out


def words(daemon, name):
    """The state of a stream in words, as /readyz tells."""
    with urllib.request.urlopen(daemon.admin + "/readyz", timeout=10) as r:
        return json.load(r)["streams"][name]


def retries(daemon, code=None):
    """Retries by the code that caused them, over all streams, since the daemon started; those of one code when it is given."""
    out = collections.Counter()
    for k, v in daemon.metrics().items():
        if k.startswith("hydrant_delivery_retries_total{"):
            out[re.search(r'code="([^"]*)"', k)[1]] += int(v)
    return out[code] if code else out


def delivery(daemon, name):
    """How the main reader of a stream delivers, as /api/streams tells."""
    with urllib.request.urlopen(daemon.admin + "/api/streams", timeout=10) as r:
        for s in json.load(r):
            if s["name"] == name:
                return s["readers"][0]["delivery"]
    return {}
