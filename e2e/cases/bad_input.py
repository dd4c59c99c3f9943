"""Hostile and broken input: a clear error each, nothing accepted in part, memory stays where it was."""
import base64
import gzip
import http.client
import io
import os
import select
import socket
import sys
import time

import zstandard

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import decode
from harness import MB, Daemon, FileStore, check, running, s3_stream, wait_for, workspace

GROWTH_LIMIT_MB = 64
STALL_LIMIT_S = 30


def b64(raw):
    return base64.b64encode(raw).decode()


def batch(*records):
    return {"DeliveryStreamName": "s", "Records": [{"Data": r} for r in records]}


def zstd_bomb(size):
    out, c = io.BytesIO(), zstandard.ZstdCompressor(level=1)
    with c.stream_writer(out, closefd=False) as w:
        for _ in range(size >> 20):
            w.write(b"\n" + bytes(MB - 1))
    return out.getvalue()


def gzip_bomb(size):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as w:
        for _ in range(size >> 20):
            w.write(b"\n" + bytes(MB - 1))
    return out.getvalue()


def api_cases():
    """(what, operation, body, headers, statuses, error type)"""
    good, deep = b64(b"part"), b"[" * 200_000
    big = b64(b"x" * 1_024_001)
    yield "invalid JSON", "PutRecordBatch", b'{"DeliveryStreamName":"s","Records":[{"Data":"' + good.encode() + b'"},', {}, {400}, "SerializationException"
    yield "not an object", "PutRecord", b"[]", {}, {400}, "SerializationException"
    yield "empty body", "PutRecord", b"", {}, {400}, None
    yield "binary body", "PutRecordBatch", os.urandom(1000), {}, {400}, "SerializationException"
    yield "deep JSON", "PutRecordBatch", b'{"DeliveryStreamName":"s","Records":' + deep, {}, {400}, "SerializationException"
    yield "deep unknown member", "PutRecord", b'{"X":' + deep + b"]" * 200_000 + b'}', {}, {400}, None
    yield "bad base64 in the last record", "PutRecordBatch", batch(good, good, "!!!!"), {}, {400}, "SerializationException"
    yield "base64 without padding", "PutRecordBatch", batch(good, "YQ"), {}, {400}, "SerializationException"
    yield "501 records", "PutRecordBatch", batch(*[good] * 501), {}, {400}, None
    yield "no records", "PutRecordBatch", batch(), {}, {400}, None
    yield "1,024,001 bytes among others", "PutRecordBatch", batch(good, big, good), {}, {400}, None
    yield "1,024,001 bytes alone", "PutRecord", {"DeliveryStreamName": "s", "Record": {"Data": big}}, {}, {400}, None
    yield "more than 4 MiB", "PutRecordBatch", batch(*[b64(b"y" * 1_000_000)] * 5), {}, {400}, "InvalidArgumentException"
    yield "more than 16 MiB", "PutRecordBatch", b'{"DeliveryStreamName":"s","Records":[' + b" " * (17 * MB), {}, {400, 413}, None
    yield "unknown stream", "PutRecord", {"DeliveryStreamName": "nobody", "Record": {"Data": good}}, {}, {400}, "ResourceNotFoundException"
    yield "no stream name", "PutRecord", {"Record": {"Data": good}}, {}, {400}, None
    yield "path as stream name", "PutRecord", {"DeliveryStreamName": "../s", "Record": {"Data": good}}, {}, {400}, None
    yield "unknown operation", "PutRecords", {}, {}, {400, 404}, None
    yield "gzip bomb", "PutRecordBatch", gzip_bomb(1 << 30), {"Content-Encoding": "gzip"}, {400, 413}, None
    yield "not gzip at all", "PutRecordBatch", b"plain", {"Content-Encoding": "gzip"}, {400}, None


def v1_cases():
    """(what, stream, body, content type, headers, statuses)"""
    nd = "application/x-ndjson"
    cut = gzip.compress(b"part\n" * 1000)[:-9]
    yield "invalid JSON", "s", b'[{"a":1},', "application/json", {}, {400}
    yield "deep JSON", "s", b"[" * 200_000 + b"]" * 200_000, "application/json", {}, {400}
    yield "line too long", "s", b"part\n" + b"x" * 1_024_001 + b"\npart\n", nd, {}, {413}
    yield "record too large", "s", b"x" * 1_024_001, "application/octet-stream", {}, {413}
    yield "body too large", "s", b"part\n" * (17 * MB // 5), nd, {}, {413}
    yield "unknown stream", "nobody", b"part\n", nd, {}, {404}
    yield "gzip bomb", "s", gzip_bomb(1 << 30), nd, {"Content-Encoding": "gzip"}, {413}
    yield "zstd bomb", "s", zstd_bomb(4 << 30), nd, {"Content-Encoding": "zstd"}, {400, 413}
    yield "gzip cut short", "s", cut, nd, {"Content-Encoding": "gzip"}, {400}
    yield "gzip with a damaged sum", "s", gzip.compress(b"part\n" * 1000)[:-8] + b"\0" * 8, nd, {"Content-Encoding": "gzip"}, {400}
    yield "zstd that is not", "s", b"plain", nd, {"Content-Encoding": "zstd"}, {400}
    yield "unknown encoding", "s", b"part\n", nd, {"Content-Encoding": "br"}, {400, 415}
    yield "unknown type", "s", b"part\n", "image/png", {}, {400, 415}


def answer_of(call, *args):
    """No answer at all is a failure of that input only."""
    try:
        status, _, answer = call(*args)
        return status, answer
    except (OSError, http.client.HTTPException) as e:
        return 0, repr(e)


def refusals(daemon, report):
    for what, op, body, headers, statuses, kind in api_cases():
        status, answer = answer_of(daemon.api, op, body, headers)
        good = status in statuses and isinstance(answer, dict) and answer.get("__type") and (answer.get("message") or answer.get("Message"))
        report(f"API, {what}", good and (kind is None or answer["__type"] == kind), f"{status} {str(answer)[:200]}")
    for what, stream, body, content_type, headers, statuses in v1_cases():
        status, answer = answer_of(daemon.v1, stream, body, content_type, headers)
        good = status in statuses and isinstance(answer, dict) and isinstance(answer.get("error"), dict) and answer["error"].get("type") and answer["error"].get("message")
        report(f"/v1, {what}", good, f"{status} {str(answer)[:200]}")


HALF_V1 = b"POST /v1/streams/s/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\npart\npart\n"
HALF_CHUNKED = b"POST /v1/streams/s/records HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\npart\n\r\n"
HALF_API = (b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Firehose_20150804.PutRecord\r\nContent-Length: 1000\r\n\r\n"
            b'{"DeliveryStreamName":"s","Record":{"Data":"' + b64(b"part").encode() + b'"}}')
HALF_HEAD = b"POST /v1/streams/s/records HTTP/1.1\r\nHost: x\r\nX-Slow: "


def connect(daemon, first):
    s = socket.create_connection(("127.0.0.1", daemon.port), timeout=5)
    s.sendall(first)
    s.setblocking(False)
    return s


def half_sent(daemon):
    """Bodies that end early because the client went away."""
    for first in (HALF_V1, HALF_CHUNKED, HALF_API, HALF_HEAD) * 5:
        connect(daemon, first).close()


def slow_loris(daemon, report):
    """20 connections that stall or dribble: each is closed within 30 s, while others are served."""
    firsts = [(HALF_V1, b"")] * 4 + [(HALF_CHUNKED, b"")] * 4 + [(HALF_API, b"")] * 4 + [(HALF_HEAD, b"")] * 2 + [(b"", b"")] * 2 \
        + [(HALF_HEAD, b"a")] * 4
    t0 = time.monotonic()
    stalled = {connect(daemon, first): more for first, more in firsts}
    last = 0.0
    while stalled and time.monotonic() - t0 < STALL_LIMIT_S + 2:
        readable, _, _ = select.select(list(stalled), [], [], 1)
        for s in readable:
            try:
                data = s.recv(65536)
            except OSError:
                data = b""
            if not data:  # an answer such as 408 may come first; closed is what counts
                last = time.monotonic() - t0
                s.close()
                del stalled[s]
        for s, more in list(stalled.items()):
            if more:
                try:
                    s.send(more)
                except OSError:
                    pass
        status, _, _ = daemon.v1("other", b"served\n", timeout=5)
        check(status == 200, f"a put beside stalled connections: {status}")
    report("20 stalled connections", not stalled, f"{len(stalled)} still open after {STALL_LIMIT_S} s")
    print(f"the last stalled connection was closed after {last:.1f} s")


with workspace("bad") as folder:
    daemon = Daemon(folder, [s3_stream("s", "lake", interval="1s", format="json"), s3_stream("other", "lake", interval="900s")])
    with running(daemon):
        daemon.start()
        wrong = []

        def report(what, good, detail):
            if not good:
                wrong.append(f"{what}: {detail}")

        for _ in range(2):  # warm up: the same calls that are measured, but legal
            check(daemon.api("PutRecordBatch", {"DeliveryStreamName": "other", "Records": [{"Data": b64(b"w" * 8000)}] * 500})[0] == 200, "warm-up")
            check(daemon.v1("other", (b"w" * 8000 + b"\n") * 1000)[0] == 200, "warm-up")
        before = daemon.process.status_kb("VmRSS")
        with open(f"/proc/{daemon.process.pid}/clear_refs", "w") as f:
            f.write("5")  # VmHWM starts anew
        check(daemon.v1("s", b"first\n")[0] == 200, "the first good record")
        refusals(daemon, report)
        half_sent(daemon)
        slow_loris(daemon, report)
        check(daemon.v1("s", b"last\n")[0] == 200, "the last good record")
        growth = (daemon.process.status_kb("VmHWM") - before) >> 10
        print(f"RSS {before >> 10} MB before, at most {growth} MB more")
        report("memory", growth < GROWTH_LIMIT_MB, f"RSS grew by {growth} MB; the limit is {GROWTH_LIMIT_MB} MB")

        store = FileStore(daemon.data_dir)
        wait_for("the last good record is delivered", lambda: any(b"last\n" in b for _, b in store.objects("lake", "s/")), 30, every=0.5)
        daemon.stop()
        got = decode.lines(store.objects("lake", "s/"), "none")
        report("nothing accepted in part", got == [b"first", b"last"], f"{len(got)} records are in the objects: {got[:5]}")
        check(not wrong, "\n  ".join([f"{len(wrong)} wrong:"] + wrong))
