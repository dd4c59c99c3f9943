"""A receiver of plain HTTP requests, of this process. It takes a request or leaves it, knows a request that it took by its Idempotency-Key,
and holds everything that comes against the shape it was told to expect."""
import collections
import gzip
import hashlib
import http.server
import json
import re
import threading
import time

from harness import check

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SUCCESSES = (200, 201, 202, 204, 299)  # in turn: each of them says that a request was taken
CUT, CUT_AFTER, HANG = "cut", "cut-after", "hang"


class Wrong(Exception):
    """What came breaks the shape."""


class Refused(Exception):
    """What came is well formed and not wanted: an HTTP status."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that is killed leaves connections behind; what it did not get an answer for comes again, or the case fails."""


class PlainServer:
    """records are those taken, in order, without those of repeated requests. refuse: {text in a record: status that its request gets}.
    limit: bytes of a body, unpacked, above which a request gets 413; 0: any."""

    process = None  # threads of this process: they end with it

    def __init__(self, parse, headers=None, refuse=None, limit=0):
        self.parse, self.headers, self.refuse, self.limit = parse, headers or {}, refuse or {}, limit
        self.lock, self.faults, self.digests = threading.Lock(), collections.deque(), {}
        self.records, self.wrong, self.not_before, self.met = [], [], 0.0, 0
        self.requests, self.repeats, self.answers = 0, 0, 0
        self.released = threading.Event()

    def start(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version, timeout = "HTTP/1.1", 30

            def do_POST(self):
                server.serve(self)

            def log_message(self, *_):
                pass

        self.http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/in?from=hydrant"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()

    def next(self, *faults):
        """One for each request to come: a status, (status, seconds of Retry-After), CUT, CUT_AFTER, HANG, or None."""
        with self.lock:
            self.faults.extend(faults)

    def waiting(self):
        with self.lock:
            return len(self.faults)

    def serve(self, handler):
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length)
        if len(body) < length:
            return cut(handler)  # the sender was killed amid it
        with self.lock:
            self.requests += 1
            fault = self.faults.popleft() if self.faults else None
            self.met += fault is not None
            if time.monotonic() < self.not_before:
                self.wrong.append("a request came earlier than Retry-After allows")
        if fault in (CUT, HANG):
            if fault == HANG:
                self.released.wait(10)
            return cut(handler)
        if fault and fault != CUT_AFTER:
            return self.fail(handler, *(fault if isinstance(fault, tuple) else (fault, 0)))
        status = self.judge(handler, body)
        return cut(handler) if fault == CUT_AFTER else answer(handler, status)

    def fail(self, handler, status, seconds):
        """The time begins before the answer leaves: who waits as long as it says is never too early."""
        with self.lock:
            self.not_before = time.monotonic() + seconds if seconds else 0
        answer(handler, status, {"Retry-After": str(seconds)} if seconds else {}, b"no, thank you")

    def judge(self, handler, body):
        """The status of the answer; a request that breaks the shape is noted as wrong."""
        with self.lock:
            try:
                self.take(handler, unpacked(handler, body))
                self.answers += 1
                return SUCCESSES[self.answers % len(SUCCESSES)]
            except Refused as e:
                return e.args[0]
            except Wrong as e:
                self.wrong.append(str(e))
                return 500

    def take(self, handler, body):
        key = one(handler, "Idempotency-Key")
        if not UUID.fullmatch(key) or one(handler, "User-Agent") == "" or handler.path != "/in?from=hydrant":
            raise Wrong(f"request {handler.path} with the Idempotency-Key {key!r}")
        for name, value in self.headers.items():
            if one(handler, name) != value:
                raise Wrong(f"{name}: {handler.headers.get_all(name)}")
        if self.limit and len(body) > self.limit:
            raise Refused(413)
        records = self.parse(body)
        for text, status in self.refuse.items():
            if any(text in x for x in records):
                raise Refused(status)
        self.keep(key, hashlib.sha256(body).digest(), records)

    def keep(self, key, digest, records):
        if key not in self.digests:
            self.digests[key] = digest
            self.records.extend(records)
            return
        self.repeats += 1
        if self.digests[key] != digest:
            raise Wrong(f"the Idempotency-Key {key} came with another body before")

    def done(self):
        """What was wrong is told; all faults were met."""
        check(not self.wrong, f"{len(self.wrong)} requests broke the shape, such as {self.wrong[:3]}")
        check(not self.faults, f"faults were not met: {list(self.faults)}")


def one(handler, name):
    values = handler.headers.get_all(name) or []
    if len(values) != 1:
        raise Wrong(f"{name} stands {len(values)} times")
    return values[0]


def unpacked(handler, body):
    encoding = handler.headers.get("Content-Encoding")
    if encoding not in (None, "gzip"):
        raise Wrong(f"Content-Encoding {encoding}")
    return gzip.decompress(body) if encoding else body


def answer(handler, status, headers=None, body=b""):
    if status == 204:
        body = b""
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    if status != 204:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def cut(handler):
    handler.close_connection = True


def lines(body):
    """NDJSON: a newline ends each record."""
    if not body.endswith(b"\n"):
        raise Wrong("the last line has no end")
    return body[:-1].split(b"\n")


def array(body):
    """A JSON array, whose values are found again as the bytes that they came as."""
    try:
        values = json.loads(body)
    except ValueError as e:
        raise Wrong(f"no JSON: {e}") from None
    if not isinstance(values, list) or not values:
        raise Wrong("no array with values")
    return elements(body.decode())


def elements(text):
    out, decoder, at = [], json.JSONDecoder(), 1
    while True:
        start = at
        _, at = decoder.raw_decode(text, at)
        out.append(text[start:at].encode())
        if text[at] == "]":
            break
        if text[at] != ",":
            raise Wrong(f"{text[at]!r} between two values")
        at += 1
    if at != len(text) - 1:
        raise Wrong("something follows the array")
    return out


class Loki:
    """A push as Loki's documents have it: {"streams":[{"stream":LABELS,"values":[[TIME,LINE],…]}]}. Times rise within a push and are never given
    to two records: of two equal lines with one time Loki keeps one."""

    def __init__(self, labels):
        self.labels, self.since, self.times = labels, time.time_ns(), {}

    def __call__(self, body):
        push = strict(body)
        if set(push) != {"streams"} or len(push["streams"]) != 1 or set(push["streams"][0]) != {"stream", "values"}:
            raise Wrong(f"no push of one stream: {body[:100]}")
        stream = push["streams"][0]
        if stream["stream"] != self.labels or not stream["values"]:
            raise Wrong(f"labels {stream['stream']}, {len(stream['values'])} values")
        last = 0
        for value in stream["values"]:
            at, line = value
            if not isinstance(at, str) or not at.isdecimal() or not last < int(at):
                raise Wrong(f"time {at!r} after {last}")
            last = int(at)
            if not self.since - 10 * 10**9 <= last <= time.time_ns() + 10**9:
                raise Wrong(f"time {at} is not of this case")
            if self.times.setdefault(last, line) != line:
                raise Wrong(f"two lines have the time {at}")
        return [line.encode() for _, line in stream["values"]]


def strict(body):
    """JSON without a key that stands twice."""
    def pairs(items):
        if len({k for k, _ in items}) != len(items):
            raise Wrong("a key stands twice")
        return dict(items)

    try:
        return json.loads(body, object_pairs_hook=pairs)
    except ValueError as e:
        raise Wrong(f"no JSON: {e}") from None
