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
from parts import Parts, retries

EACH, LIMIT, KEY = 2_000, 350_000, "the-access-key"
FAULTS = [("status", 500), ("status", 429), ("status-after", 503), ("cut-body", 0), ("cut", 0), ("cut-after", 0), ("cut-answer", 0), ("wrong-echo", 0), ("wrong-type", 0),
          ("garbage", 0), ("huge", 0), ("redirect", 0), ("encoded", 0), ("hang", 0), ("hang-after", 0), ("drip", 0)]
TAKEN = ("status-after", "cut-after", "cut-answer", "hang-after")  # the records were taken, and the sender cannot know
NETWORK = [{"latency": 0.3}, {"cut_down": 0, "times": 1}, {"cut_up": 1000, "times": 1}, {"half_open": True}, {"reset": True}, {"rate": 100_000}, {"refuse": True}]
KILLS = (2, 5, 9, 13, 14)  # right after these faults were met
CUT_SHORT = "the body cannot be read: unexpected EOF"  # what a receiver has of a request that the network cut, or a kill
SOME = EACH * (len(FAULTS) + len(NETWORK) + 2)


def met(proxy, daemon, fault):
    """Sets a fault of the network, and says when a request has run into it."""
    cuts, failed, handed = proxy.cuts, retries(daemon, "s"), proxy.bytes["up"]
    proxy.set(**fault)
    if "times" in fault:
        return lambda: proxy.cuts > cuts
    if "latency" in fault or "rate" in fault:
        return lambda: proxy.bytes["up"] > handed + 1000
    return lambda: retries(daemon, "s") > failed


def all_arrived(end, n):
    wait_for(f"part {n} arrives", lambda: end.stats()["received"] == (n + 1) * EACH, 60, every=0.02)


def faults_of_the_receiver(end, daemon, parts):
    repeats = 0
    for n, (kind, status) in enumerate(FAULTS):
        before = end.stats()
        end.fail(kind, status=status, **({"retry-after": "1"} if status == 429 else {}))
        sending = parts.send(n)
        wait_for(f"{kind} was met", lambda: end.stats()["faults_met"] > before["faults_met"], 60, every=0.02)
        if kind in TAKEN:  # the fault was met when the request began
            wait_for("it was taken", lambda: end.stats()["received"] > before["received"], 10, every=0.01)
        if n in KILLS:
            daemon.kill()
            daemon.start()
        sending.join()
        all_arrived(end, n)
        lake.drain(daemon)
        repeats += kind in TAKEN
        check(end.stats()["repeats"] >= before["repeats"] + (kind in TAKEN), f"{kind}: the request did not come again under its id")
    return repeats


def faults_of_the_network(end, proxy, daemon, parts):
    for n, fault in enumerate(NETWORK, len(FAULTS)):
        seen = met(proxy, daemon, fault)
        sending = parts.send(n)
        wait_for(f"{fault} was met", seen, 60, every=0.02)
        proxy.heal()
        sending.join()
        all_arrived(end, n)
        lake.drain(daemon)


def too_large(daemon, source):
    """Two parts at once are too large for the receiver, which measures bodies unpacked, and get there in halves; the record in their midst never fits."""
    lines = [source.record(n) for n in range(SOME - 2 * EACH, SOME)]
    lines.insert(EACH + 17, b'{"n":-1,"x":"%s"}' % (b"x" * 300_000))
    status, _, answer = daemon.v1("s", b"\n".join(lines))
    check(status == 200, f"{status} {answer}")
    lake.drain(daemon)


def verify(end, daemon, source, stats):
    wrong = [v for v in stats["violations"] if v != CUT_SHORT]
    check(not wrong and len(stats["violations"]) <= len(NETWORK) + len(KILLS), f"violations: {stats['violations']}")
    got = end.received()
    check(len(got) == SOME, f"{len(got)} records of {SOME}")
    wrong = next((i for i, x in enumerate(got) if x != source.record(i)), None)
    check(wrong is None, f"record {wrong} is {got[wrong or 0][:200]}")
    errors = search.errors(FileStore(daemon.data_dir), "s", "http-endpoint-failed")
    check([json.loads(e["rawData"])["n"] for e in errors] == [-1], f"set aside: {str(errors)[:500]}")
    check(errors[0]["errorCode"] == "HttpEndpoint.DestinationException" and "413" in errors[0]["errorMessage"] and errors[0]["dataId"], f"{str(errors)[-500:]}")
    check(KEY not in daemon.process.log(), "the access key stands in the log")


def protocol(folder):
    key = os.path.join(folder, "key")
    with open(key, "w") as f:
        f.write(KEY + "\n")
    end = Doubles(folder, access_key=KEY, max_body=LIMIT)
    proxy = FaultProxy(end.port).start()
    more = {"access_key": "file:" + key, "content_encoding": "gzip", "common_attributes": {"env": "e2e"}, "timeout": "3s"}
    daemon = Daemon(folder, [http_stream("s", proxy.url + "/", more)], "file")
    with running(daemon, end):
        end.start()
        daemon.start()
        source = search.Numbered(daemon, "s", limit=SOME)
        parts = Parts(source, EACH)
        least = faults_of_the_receiver(end, daemon, parts)
        faults_of_the_network(end, proxy, daemon, parts)
        too_large(daemon, source)
        stats = end.stats()
        daemon.stop()
        verify(end, daemon, source, stats)
        check(stats["faults_met"] == len(FAULTS) and least < stats["repeats"], f"{stats['faults_met']} faults, {stats['repeats']} repeats")
        print(f"{SOME} records once and in order, in {stats['requests']} requests, {stats['repeats']} of them repeats, over {len(FAULTS)} faults of the receiver, "
              f"{len(NETWORK)} of the network and {len(KILLS)} kills")
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
