"""Splunk's HTTP Event Collector, a strict double of it, raw and event, with acknowledgements and without: every reply code, cut connections, pages that are
no answers, acknowledgements that are late, lost and denied, restarts of the indexer and of the daemon. A record is there once, unless its own
request was in doubt: then exactly that request is repeated. What is refused is in the backup, alone."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import search
from collector import REQUEST, TOKEN, Collector
from harness import Daemon, check, running, wait_for, workspace

SOME, KILLS = 8_000, 3
AGAIN = [1, 2, 3, 4, 8, 9, 10, 11, 14, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26]  # reply codes after which the same request comes again
HALVES = [5, 6, 7, 12, 13, 15, 27]  # after which its halves come
STATUSES = [200, 204, 302, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504]  # with a page that is no collector's


def codes(c):
    """Those after which the same comes again are shared out; with acknowledgements, which take their time, there are a few."""
    part = slice(0, None, 8) if c.acks else slice(c.endpoint == "event", None, 2)
    for code in AGAIN[part] + HALVES[::7 if c.acks else 1]:
        halves = code in HALVES and not (code == 7 and c.endpoint == "raw")  # raw data name no index: the configuration's is wrong, until it is mended
        c.end.next("answer", code=code)
        c.expect(f"code {code}", c.put(), (1,), 3 if halves else 2)
    for status in STATUSES[part]:
        c.end.next("bare", status=status)
        c.expect(f"status {status}", c.put(), (1,), 2)
    c.end.next("bare", status=413)
    c.expect("status 413", c.put(), (1,), 3)


def connections(c):
    """Nothing was taken before a cut; after one, the sender cannot know."""
    for kind, copies in (("cut", 1), ("hang", 1), ("cut-after", 2), ("no-ack-id", 2 if c.acks else 1)):
        c.end.next(kind)
        c.expect(kind, c.put(), (copies,), 1 if kind == "no-ack-id" and not c.acks else 2)


def refused(c):
    """Events that the collector refuses for what they are, among others; and one that it refuses alone."""
    bad = [b'{"event":""}', b'{"event":null,"m":"none"}', b'{"event":"e","time":"never"}', b'{"event":{}}'] if c.endpoint == "event" else []
    numbers = c.put(among=bad)
    for raw in bad:
        c.aside(raw, "Splunk.InvalidDataFormat")
    c.expect("bad ones among others", numbers, (1,))
    for raw, code in ((b" \t ", None), (b'{"alone":1}', 6), (b'{"alone":2}', 27), *([(b'{"alone":3}', 7)] if c.endpoint == "event" else [])):
        if code:
            c.end.next("answer", code=code)
        c.aside(raw, {7: "Splunk.InvalidIndex", 27: "Splunk.RequestTooLarge"}.get(code, "Splunk.InvalidDataFormat"))
        check(c.daemon.v1(c.name, raw, "application/octet-stream")[0] == 200, "one record alone")
        c.settle()


def acknowledgements(c):
    """Delivered is what the indexer has, not what was answered 200. What was taken and is not acknowledged is in doubt, and nothing else."""
    c.end.acks("held")
    numbers = c.put()
    c.until_taken(numbers)
    wait_for("the question for it was answered", lambda: c.end.stats()["polls"] > 0, 10)
    check(c.waiting() == len(numbers), f"{c.name}: {c.waiting()} records wait although nothing is acknowledged")
    c.end.ask("/acknowledge", b"")
    c.end.acks("at-once")
    c.expect("a late acknowledgement", numbers, (1,), 1)
    for mode, copies in (("lost", (2,)), ("denied", (2, 3))):
        c.end.acks(mode)
        numbers = c.put()
        c.until_taken(numbers, 2 if mode == "denied" else 1)
        c.end.acks("at-once")
        c.expect(f"an acknowledgement {mode}", numbers, copies)
    c.end.acks("held")
    numbers = c.put()
    c.until_taken(numbers)
    c.end.acks("at-once")
    c.end.ask("/restart", b"")
    c.expect("a restart of the indexer", numbers, (2,), 2)


def steps(c):
    codes(c)
    connections(c)
    refused(c)
    if c.acks:
        acknowledgements(c)


def killed_waiting(daemon, collectors):
    """The daemon dies while a request is under way: taken and not acknowledged, or not even taken."""
    for c in collectors:
        if c.acks:
            c.end.acks("held")
        else:
            c.end.next("hang")
    under_way = [c.put() for c in collectors]
    for c, numbers in zip(collectors, under_way):
        wait_for("the request is there", lambda: c.sent() > 0, 20, every=0.02)
        if c.acks:
            c.until_taken(numbers)
    daemon.kill()
    before = [(c.copies(numbers), c.sent()) for c, numbers in zip(collectors, under_way)]
    for c in collectors:
        c.end.acks("at-once")
    daemon.start()
    for c, numbers, (copies, sent) in zip(collectors, under_way, before):
        c.expect("a kill", numbers, (copies + 1,), sent + 1)


def flights(daemon, collectors):
    """Many requests, kills among them: each kill may have one request in doubt."""
    before = [c.end.stats()["events"] for c in collectors]
    sources = [search.Numbered(daemon, c.name, limit=SOME) for c in collectors]
    sending = [s.in_background() for s in sources]
    for n in range(1, KILLS + 1):
        wait_for("flights arrive", lambda: all(c.end.stats()["events"] - b > n * SOME // (KILLS + 2) for c, b in zip(collectors, before)), 60, every=0.02)
        daemon.kill()
        daemon.start()
    for s in sending:
        s.join()
    for c in collectors:
        c.settle(60)
        seen = c.taken("n")
        lost = [n for n in range(SOME) if not seen[n]]
        check(not lost, f"{c.name}: {len(lost)} records are lost, such as {lost[:5]}")
        c.twice = seen.total() - SOME
        check(c.twice <= KILLS * REQUEST, f"{c.name}: {c.twice} records came twice, after {KILLS} kills and with {REQUEST} a request")
        check(list(seen) == sorted(seen), f"{c.name}: the order is lost")  # of when each was first seen


def main():
    with workspace("splunk") as folder:
        collectors = []
        for endpoint, acks, encoding in (("raw", True, "none"), ("raw", False, "gzip"), ("event", True, "gzip"), ("event", False, "none")):
            os.makedirs(here := os.path.join(folder, f"{endpoint}-{acks}"))
            collectors.append(Collector(here, endpoint, acks, content_encoding=encoding))
        daemon = Daemon(folder, [c.stream for c in collectors], "file")
        with running(daemon, *(c.end for c in collectors)):
            for c in collectors:
                c.end.start()
                c.use(daemon)
            daemon.start()
            lake.in_threads([lambda c=c: steps(c) for c in collectors])
            killed_waiting(daemon, collectors)
            flights(daemon, collectors)
            for c in collectors:
                c.verify_aside()
            daemon.stop()
            check(TOKEN not in daemon.process.log(), "the token stands in the log")
        for c in collectors:
            print(f"{c.name}: {c.next_m} records in steps, as often there as expected; {SOME} flights over {KILLS} kills, "
                  f"{c.twice} of them twice; {len(c.refused)} in the backup")


main()
