"""Flights to a strict receiver of Firehose's HTTP protocol while it, the network and the daemon fail in turn: every record once, in order,
repeats under the same id with the same records; records that are too large for the receiver alone end in the backup. Then plain bodies."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flights
import lake
import search
from doubles import Doubles
from faultproxy import FaultProxy
from harness import Daemon, FileStore, check, running, wait_for, workspace
from http_endpoint_stream import http_stream

SOME = 40_000
FAULTS = [("status", 500), ("status", 429), ("status-after", 503), ("cut-body", 0), ("cut", 0), ("cut-after", 0), ("cut-answer", 0), ("wrong-echo", 0), ("wrong-type", 0),
          ("garbage", 0), ("huge", 0), ("redirect", 0), ("encoded", 0)]


def protocol(folder):
    key = os.path.join(folder, "key")
    with open(key, "w") as f:
        f.write("the-access-key\n")
    # The double measures bodies unpacked: a record of 300 kB does not fit, a full request must be halved.
    end = Doubles(folder, access_key="the-access-key", max_body=350_000)
    proxy = FaultProxy(end.port).start()
    more = {"access_key": "file:" + key, "content_encoding": "gzip", "common_attributes": {"env": "e2e"}, "timeout": "3s"}
    daemon = Daemon(folder, [http_stream("s", proxy.url + "/", more)], "file")
    with running(daemon, end):
        end.start()
        daemon.start()
        source = search.Numbered(daemon, "s", limit=SOME)
        sending = source.in_background()
        for n, (kind, status) in enumerate(FAULTS):
            met = end.stats()["faults_met"]
            end.fail(kind, status=status, **({"retry-after": "1"} if status == 429 else {}))
            wait_for(f"{kind} was met", lambda: end.stats()["faults_met"] > met or end.stats()["received"] == SOME, 60, every=0.02)
            if n % 3 == 0:
                daemon.kill()
                daemon.start()
        for fault in ({"latency": 0.3}, {"cut_down": 0, "times": 1}, {"half_open": True}, {"reset": True}, {"rate": 200_000}, {"refuse": True}):
            proxy.set(**fault)
            wait_for("some time passes", lambda left=[8]: left.append(left.pop() - 1) or left[0] < 0, 30, every=0.25)
            proxy.heal()
        sending.join()
        status, _, answer = daemon.v1("s", b'{"n":-1,"x":"%s"}' % (b"x" * 300_000))
        check(status == 200, f"{status} {answer}")
        lake.drain(daemon, 180)
        daemon.stop()
        stats = end.stats()
        check(not stats["violations"], f"violations: {stats['violations']}")
        got = end.received()
        check(len(got) == SOME, f"{len(got)} records of {SOME}")
        wrong = next((i for i, x in enumerate(got) if x != source.record(i)), None)
        check(wrong is None, f"record {wrong} is {got[wrong or 0][:200]}")
        errors = search.errors(FileStore(daemon.data_dir), "s", "http-endpoint-failed")
        check([json.loads(e["rawData"])["n"] for e in errors] == [-1] and errors[0]["errorCode"] == "HttpEndpoint.DestinationException" and errors[0]["dataId"],
              f"set aside: {str(errors)[:500]}")
        check("the-access-key" not in daemon.process.log(), "the access key stands in the log")
        print(f"{SOME} records in {stats['requests']} requests, {stats['repeats']} of them repeats, {stats['faults_met']} faults")
    proxy.stop()


def plain(folder, body, **more):
    os.makedirs(folder)
    end = Doubles(folder, shape=body, refuse="bad-one")
    lines = flights.load(3000)
    lines[1234] = b'{"x":"bad-one"}'
    daemon = Daemon(folder, [http_stream("s", end.url, {"plain": True, "body": body, **more})], "file")
    with running(daemon, end):
        end.start()
        daemon.start()
        lake.send(daemon, "s", lines)
        lake.drain(daemon, 60)
        daemon.stop()
        check(not end.stats()["violations"], f"{body}: {end.stats()['violations']}")
        check(end.received() == lines[:1234] + lines[1235:], f"{body}: {end.stats()}")
        errors = search.errors(FileStore(daemon.data_dir), "s", "http-endpoint-failed")
        check([e["rawData"] for e in errors] == [lines[1234]] and "400" in errors[0]["errorMessage"], f"{body}: {errors}")
        print(f"{body}: {len(lines) - 1} records, the bad one found in {end.stats()['requests']} requests")


def main():
    with workspace("http-endpoint") as folder:
        protocol(folder)
        for body in ("ndjson", "json-array", "loki"):
            plain(os.path.join(folder, body), body, **({"labels": {"job": "e2e"}} if body == "loki" else {}))


main()
