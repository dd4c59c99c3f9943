"""Retries that end: what the cluster did not take in time, what it took although its answer was lost, and what it refused are in the backup. Then
`hydrant replay-errors` brings all of it back, across a kill, and each record is in the index once, whatever had arrived."""
import collections
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import search
from faultproxy import FaultProxy
from harness import BINARY, S3, Daemon, check, running, wait_for, workspace
from opensearch import OpenSearch

NAME, PART, BAD = "flights", 5_000, 500
ALL, ALL_BAD = 4 * PART, 4 * PART // BAD
CODES = {"OpenSearch.ConnectionFailed": 2 * PART, "400": ALL_BAD // 2}  # the outages, and what was refused before and after
ASIDE = sum(CODES.values())


class Replay:
    """One run of the command. url: of the daemon, or of what stands in front of it."""

    def __init__(self, daemon, s3, *more, url=None):
        argv = [BINARY, "replay-errors", f"{search.FAILED}/{NAME}/", "--stream", NAME, "--endpoint", url or daemon.url, "--s3-endpoint", s3.url, *more]
        self.run = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **daemon.env})

    def end(self):
        """What it printed."""
        try:
            out, _ = self.run.communicate(timeout=90)
        finally:
            self.run.kill()
        check(self.run.returncode == 0, f"replay-errors ended with {self.run.returncode}: {out[-2000:]}")
        return out

    def counts(self):
        """(accepted, repeated)"""
        out = self.end()
        found = re.search(r"(\d+) accepted, (\d+) repeated by stream", out)
        check(found, f"replay-errors printed {out[-2000:]}")
        return int(found[1]), int(found[2])


def put(source, to):
    """The next records; waits until all of them are delivered or set aside."""
    source.extend(to)
    source.send()
    lake.drain(source.daemon, 60)


def away(proxy, source):
    """Nobody listens until the time for retries is over."""
    proxy.set(refuse=True)
    put(source, 2 * PART)
    proxy.heal()


def answers_lost(proxy, source, node):
    """The documents arrive, and no answer comes back: they are in the index and in the backup."""
    before = node.count(NAME)
    proxy.set(cut_down=0)
    put(source, 3 * PART)
    proxy.heal()
    check(node.count(NAME) == before + PART - PART // BAD, f"{node.count(NAME) - before} of {PART} documents arrived")


def at_once(proxy, daemon, s3):
    """Without time for retries there is one attempt."""
    proxy.set(refuse=True)
    lake.send(daemon, "once", [b'{"n":%d}' % n for n in range(100)])
    lake.drain(daemon, 30)
    proxy.heal()
    errors = search.errors(s3, "once")
    check(sorted(e["rawData"] for e in errors) == sorted(b'{"n":%d}' % n for n in range(100)), f"{len(errors)} of 100 records were given up")
    check(all(e["attemptsMade"] == 1 and e["errorCode"] == "OpenSearch.ConnectionFailed" for e in errors), f"such as {errors[:1]}")
    lake.send(daemon, "once", [b'{"n":%s}' % (b'"no number"' if n % 10 == 5 else b"%d" % n) for n in range(100)])
    lake.drain(daemon, 30)
    refused = [e for e in search.errors(s3, "once") if e["errorCode"] != "OpenSearch.ConnectionFailed"]
    check(len(refused) == 10 and all(e["errorCode"] == "400" and "mapper_parsing_exception" in e["errorMessage"] for e in refused), f"refused without time for retries: {refused[:2]}")


def given_up(errors):
    """Everything of the two outages, and the bad ones of the rest."""
    codes = collections.Counter(e["errorCode"] for e in errors)
    check(codes == CODES, f"codes {codes}, expected {CODES}")
    check(all(e["attemptsMade"] > 1 for e in errors if e["errorCode"] != "400"), "one was given up after one attempt")
    check(len({e["recordId"] for e in errors}) == len(errors), "a record was given up twice")


def counted_only(daemon, s3):
    """The dry run says what there is, and takes nothing."""
    out = Replay(daemon, s3, "--dry-run").end()
    said = {code: int(n) for n, code in re.findall(r"^ *(\d+)  (\S+)$", out, re.M)}
    check(said == CODES and f"{ASIDE} records; nothing was sent" in out, f"the dry run printed {out[-2000:]}")


def across_a_kill(daemon, s3, node):
    """The daemon dies when the first of them have been taken, of which the answer is lost. All of them come in, and the bad ones are refused
    once more."""
    before, front = accepted(daemon), FaultProxy(daemon.port).start()
    front.set(cut_down=0, times=1)
    replay = Replay(daemon, s3, url=front.url)
    wait_for("some came back", lambda: accepted(daemon) > before, 30, every=0.005)
    daemon.kill()
    daemon.start()
    taken, repeated = replay.counts()
    front.stop()
    check(taken + repeated == ASIDE and repeated > 0, f"{taken} accepted and {repeated} repeated of {ASIDE}")
    lake.drain(daemon, 60)
    check(node.count(NAME) == ALL - ALL_BAD, f"{node.count(NAME)} documents, {ALL - ALL_BAD} expected")
    return repeated


def accepted(daemon):
    return sum(v for k, v in daemon.metrics().items() if k.startswith("hydrant_incoming_records_total{") and f'stream="{NAME}"' in k)


def refused_again(s3, before):
    """Under the names that the records had from the beginning."""
    old = {(e["recordId"], e["arrivalTimestamp"]) for e in before}
    new = [e for e in search.errors(s3, NAME) if (e["recordId"], e["arrivalTimestamp"]) not in old]
    check(len(new) == ALL_BAD and all(e["errorCode"] == "400" for e in new), f"{len(new)} refused again, {ALL_BAD} expected, such as {new[:1]}")
    names = {b["recordId"]: b["esDocumentId"] for b in before}
    check(all(names.get(e["recordId"]) == e["esDocumentId"] for e in new), "a record that came back has another name")


def mended(daemon, s3, node):
    """With another mapping the bad ones are documents, too; and then nothing is left to come back."""
    node.ask("PUT", f"/{NAME}/_mapping", {"properties": {"delay": {"type": "integer", "ignore_malformed": True}}})
    for expected in ((ALL_BAD, ASIDE), (0, ASIDE + ALL_BAD)):
        got = Replay(daemon, s3).counts()
        check(got == expected, f"accepted and repeated: {got}, expected {expected}")
        lake.drain(daemon, 60)


def main():
    with workspace("opensearch-replay") as folder:
        s3, node = S3(folder), OpenSearch(folder)
        proxy = FaultProxy(node.port).start()
        streams = [search.stream(NAME, proxy.url, retry={"for": "4s"}), search.stream("once", proxy.url, retry={"for": "0s"})]
        daemon = Daemon(folder, streams, "s3", s3)
        with running(daemon, s3, node):
            s3.start().make_bucket(search.FAILED)
            node.start()
            node.ask("PUT", "/" + NAME, search.MAPPING)
            daemon.start()
            source = search.Numbered(daemon, NAME, bad=BAD, limit=PART)
            put(source, PART)
            away(proxy, source)
            answers_lost(proxy, source, node)
            put(source, 4 * PART)
            at_once(proxy, daemon, s3)
            first = search.errors(s3, NAME)
            given_up(first)
            counted_only(daemon, s3)
            repeated = across_a_kill(daemon, s3, node)
            refused_again(s3, first)
            mended(daemon, s3, node)
            daemon.stop()
            documents = node.documents(NAME).values()
            check(sorted(d["n"] for d in documents) == list(range(ALL)), f"{len(documents)} documents of {ALL} records, or some are there twice")
            check(all(d == json.loads(source.record(d["n"])) for d in documents), "a document is not as it was sent")
            print(f"{ASIDE} of {ALL} records came back once ({repeated} were repeated over a kill), {ALL_BAD} of them twice")
        proxy.stop()


main()
