"""Flights as plain requests, in each shape of a body, to a receiver that knows nothing of Firehose: every 2xx says that it took them, other answers
and none are tried again under the same key with the same bytes, and the few records that it refuses are found by halves and end in the backup."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import plainserver
import search
from harness import Daemon, FileStore, check, running, wait_for, workspace
from http_endpoint_stream import http_stream
from plainserver import CUT, CUT_AFTER, HANG, PlainServer

SOME, KILLS, LIMIT = 15_000, 3, 80_000
FAULTS = [500, 503, CUT, CUT_AFTER, 404, 401, CUT_AFTER, HANG, 502]
REFUSED = {b'"n":4321,': 422, b'"n":4322,': 400, b'"n":9876,': 415, b'"n":14999,': 422}
LAST = b'{"n":-3}'
BEARER = "Bearer to-the-receiver"


class Way:
    """A stream, its receiver, and what is sent: numbered flights, then what this shape of a body cannot hold."""

    def __init__(self, daemon_folder, body, parse, unfit=(), **more):
        self.name, self.unfit = body, list(unfit)
        self.server = PlainServer(parse, {"Authorization": BEARER, "X-Team": "logs"}, REFUSED, LIMIT).start()
        headers = {"Authorization": "file:" + os.path.join(daemon_folder, "bearer"), "X-Team": "logs"}
        destination = {"plain": True, "body": body, "headers": headers, "timeout": "2s", "request": {"size": "64KB", "records": 400}, **more}
        self.stream = http_stream(body, self.server.url, destination)

    def send(self, daemon):
        self.source = search.Numbered(daemon, self.name, limit=SOME)
        self.sending = self.source.in_background()

    def verify(self, daemon):
        self.server.done()
        want = [self.source.record(n) for n in range(SOME) if not refused(self.source.record(n))] + [LAST]
        got = self.server.records
        check(len(got) == len(want), f"{self.name}: {len(got)} records, {len(want)} expected")
        other = next((i for i, x in enumerate(got) if x != want[i]), None)
        check(other is None, f"{self.name}: record {other} is another one: {got[other or 0][:200]}")
        errors = search.errors(FileStore(daemon.data_dir), self.name, "http-endpoint-failed")
        self.verify_aside({e["rawData"]: e for e in errors}, len(errors))

    def verify_aside(self, aside, count):
        want = {self.source.record(n): status for n in range(SOME) if (status := refused(self.source.record(n)))}
        want |= {large(): 413} | dict.fromkeys(self.unfit)
        check(set(aside) == set(want) and count == len(want), f"{self.name}: {count} records set aside, {sorted(aside)[:5]}")
        for raw, status in want.items():
            e = aside[raw]
            code = "HttpEndpoint.DestinationException" if status else "HttpEndpoint.InvalidRecord"
            check(e["errorCode"] == code and e["dataId"], f"{self.name}: {e}")
            check(not status or str(status) in e["errorMessage"], f"{self.name}: {status}, but the reason is {e['errorMessage']}")
            check(raw[:15].decode(errors="replace") not in e["errorMessage"], "the reason repeats the record")


def refused(record):
    return next((status for text, status in REFUSED.items() if text in record), None)


def large():
    """More than the receiver takes, alone."""
    return b'{"n":-1,"x":"%s"}' % (b"x" * LIMIT)


def send_unfit(daemon, way):
    """A request each, so that one that is no text does not make the others no lines."""
    for record in [large(), *way.unfit]:
        status, _, answer = daemon.v1(way.name, record, "application/octet-stream")
        check(status == 200, f"{way.name}: {status} {answer}")


def retry_after(daemon, ways):
    """The receiver asks for time: the next request comes when it is over, and not before."""
    for way in ways:
        way.server.next((429, 2), (503, 1))
        check(daemon.v1(way.name, LAST)[0] == 200, "one more record")
    lake.drain(daemon, 30)
    check(all(w.server.waiting() == 0 for w in ways), "some faults were not met")


def faults():
    """Many before the first record that is refused, each with a request after it that is taken, or waits would grow; few while halves are tried."""
    return [x for fault in FAULTS for x in (fault, None)] + [x for fault in (CUT_AFTER, 503, CUT) for x in [fault] + [None] * 16]


def run(daemon, ways):
    for way in ways:
        way.server.next(*faults())
        way.send(daemon)
    for k in range(1, KILLS + 1):
        wait_for("records have arrived", lambda: all(len(w.server.records) > k * SOME // (KILLS + 2) for w in ways), 60, every=0.01)
        daemon.kill()
        daemon.start()
    for way in ways:
        way.sending.join()
        send_unfit(daemon, way)
    lake.drain(daemon, 60)
    retry_after(daemon, ways)


def main():
    with workspace("http-plain") as folder:
        with open(os.path.join(folder, "bearer"), "w") as f:
            f.write(BEARER + "\n")
        ways = [Way(folder, "ndjson", plainserver.lines, content_encoding="gzip"), Way(folder, "json-array", plainserver.array, [b"no JSON", b'{"n":']),
                Way(folder, "loki", plainserver.Loki({"job": "e2e", "env": 'a"b'}), [b'{"n":-2,"x":"\xff\xfe"}'], labels={"job": "e2e", "env": 'a"b'})]
        daemon = Daemon(folder, [w.stream for w in ways], "file")
        with running(daemon):
            daemon.start()
            run(daemon, ways)
            for way in ways:
                way.verify(daemon)
            daemon.stop()
            check(BEARER not in daemon.process.log(), "the secret header stands in the log")
        for way in ways:
            print(f"{way.name}: {len(way.server.records)} records once and in order, in {way.server.requests} requests, {way.server.repeats} of them repeats, "
                  f"{way.server.met} faults, {KILLS} kills; {len(REFUSED) + 1 + len(way.unfit)} records set aside")
            way.server.stop()


main()
