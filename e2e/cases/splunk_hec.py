"""Flights to a strict double of Splunk's HTTP Event Collector, raw and event, with acknowledgements delayed, lost, denied and off, some error
codes, and restarts of the indexer and the daemon: nothing lost; what is there twice was in flight at a fault; what is refused is in the backup."""
import collections
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import search
from doubles import Doubles
from harness import Daemon, FileStore, check, running, wait_for, workspace

SOME = 12_000
CODES = [2, 8, 9, 11, 14, 23]  # worth another attempt; all codes stand in the tests of the sink


def splunk_stream(name, end, destination=None):
    return {"name": name, "buffer": {"size": "1MB", "interval": "1s"}, "retry": {"for": "7200s"}, "backup": {"s3": {"bucket": search.FAILED, "prefix": f"{name}/"}},
            "destination": {"splunk": {"url": end.hec, "token": "the-token", "request": {"size": "64KB"}, **(destination or {})}}}


def numbers(lines):
    return collections.Counter(json.loads(x)["n"] for x in lines)


def run(folder, endpoint, acks):
    os.makedirs(folder)
    end = Doubles(folder, token="the-token", acks="true" if acks else "false")
    daemon = Daemon(folder, [splunk_stream("s", end, {"endpoint": endpoint, "ack_timeout": "4s" if acks else "0s"})], "file")
    with running(daemon, end):
        end.start()
        daemon.start()
        source = search.Numbered(daemon, "s", limit=SOME)
        sending = source.in_background()
        for code in CODES if acks else CODES[:5]:
            before = end.stats()["hec_requests"]
            end.next("answer", code=code)
            wait_for(f"code {code} was met", lambda: end.stats()["hec_requests"] > before or done(end), 60, every=0.02)
        for kind in ("bare", "cut", "cut-after") + (("no-ack-id",) if acks else ()):
            end.next(kind, status=502)
        for mode in ("lost", "at-once", "denied", "at-once") if acks else ():
            end.acks(mode)
            before = end.stats()["hec_requests"]
            wait_for(f"{mode} was met", lambda: end.stats()["hec_requests"] > before or done(end), 60, every=0.02)
        if acks:
            end.ask("/restart", b"")
        daemon.kill()
        daemon.start()
        sending.join()
        lake.drain(daemon, 120)
        end.next("answer", code=6)  # the data are refused, and there is one record alone
        check(daemon.v1("s", b'{"n":-1}')[0] == 200, "one more")
        lake.drain(daemon, 30)
        daemon.stop()
        seen = numbers(end.events())
        lost = [n for n in range(SOME) if n not in seen]
        check(not lost, f"{endpoint}: {len(lost)} records are lost, such as {lost[:5]}")
        check(-1 not in seen, "what was refused is there, too")
        twice = sum(k - 1 for k in seen.values())
        check(twice <= (8 if acks else 3) * 2500, f"{endpoint}: {twice} records more than once")
        errors = search.errors(FileStore(daemon.data_dir), "s", "splunk-failed")
        check([json.loads(e["rawData"])["n"] for e in errors] == [-1] and errors[0]["errorCode"] == "Splunk.InvalidDataFormat" and errors[0]["EventId"], f"{errors}")
        check("the-token" not in daemon.process.log(), "the token stands in the log")
        print(f"{endpoint}, acknowledgements {'on' if acks else 'off'}: {SOME} records, {twice} repeated, {end.stats()['hec_requests']} requests")


def done(end):
    return end.stats()["events"] >= SOME


def main():
    with workspace("splunk") as folder:
        for endpoint, acks in (("raw", True), ("event", False)):
            run(os.path.join(folder, endpoint), endpoint, acks)


main()
