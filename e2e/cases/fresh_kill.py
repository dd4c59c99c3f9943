"""A new stream whose log rolls through several segments while it delivers, then SIGKILL: nothing counts as damaged, every record is there once."""
import collections
import http.client
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import decode
from harness import MB, Daemon, FileStore, check, running, s3_stream, wait_for, workspace

PRODUCERS, EACH_MB, LINES, LINE_BYTES = 4, 24, 600, 700
STREAM, BUCKET = "fresh", "lake"


def body(producer, request):
    """Unique lines."""
    return [f"{producer} {request:06d} {i:04d} ".encode() + os.urandom(LINE_BYTES // 2).hex().encode() for i in range(LINES)]


def produce(daemon, producer, limit, out):
    """Sends until limit bytes are accepted or the daemon is gone; then out holds what was accepted, and what may have been."""
    accepted, unanswered, size = [], [], 0
    c = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    try:
        for request in range(1_000_000):
            if size >= limit:
                break
            lines = body(producer, request)
            unanswered = lines
            c.request("POST", f"/v1/streams/{STREAM}/records", b"\n".join(lines), {"Content-Type": "application/x-ndjson"})
            r = c.getresponse()
            answer = r.read()
            check(r.status == 200, f"/v1 answered {r.status}: {answer[:300]}")
            accepted, unanswered, size = accepted + lines, [], size + sum(map(len, lines))
    except (OSError, http.client.HTTPException):
        pass  # killed
    finally:
        c.close()
        out[producer] = (accepted, unanswered)


def start_producers(daemon, names, limit, out):
    threads = [threading.Thread(target=produce, args=(daemon, n, limit, out)) for n in names]
    for t in threads:
        t.start()
    return threads


def damaged(daemon):
    return sum(v for k, v in daemon.metrics().items() if k.startswith("hydrant_log_damaged_frames_total"))


def delivered(store):
    return decode.lines(store.objects(BUCKET), "none")


def compare(got, results):
    """Every accepted record once; of the requests that got no answer all records once, or none."""
    have = collections.Counter(got)
    twice = [line[:40] for line, n in have.items() if n > 1]
    check(not twice, f"{len(twice)} records are there more than once, such as {twice[:3]}")
    known = set()
    for accepted, unanswered in results.values():
        lost = [line[:40] for line in accepted if line not in have]
        check(not lost, f"{len(lost)} accepted records are missing, such as {lost[:3]}")
        kept = sum(line in have for line in unanswered)
        check(kept in (0, len(unanswered)), f"{kept} of the {len(unanswered)} records of one request are there")
        known.update(accepted, unanswered)
    check(have.keys() <= known, "something was delivered that nobody sent")


with workspace("fresh-kill") as folder:
    daemon = Daemon(folder, [s3_stream(STREAM, BUCKET, size="1MB", interval="1s")])
    store = FileStore(daemon.data_dir)
    with running(daemon):
        daemon.start()
        results = {}
        for t in start_producers(daemon, [f"a{n}" for n in range(PRODUCERS)], EACH_MB * MB, results):
            t.join()
        sent = sum(len(a) for a, _ in results.values())
        check(sent * LINE_BYTES >= 60 * MB, f"only {sent} records were accepted")
        wait_for("the first deliveries", lambda: len(store.objects(BUCKET)) > 3, 30)

        late = start_producers(daemon, [f"b{n}" for n in range(PRODUCERS)], 1 << 40, results)
        time.sleep(1)
        daemon.kill()  # in the middle of puts
        for t in late:
            t.join()
        accepted = sum(len(a) for a, _ in results.values())
        check(accepted > sent, "nothing was accepted before the kill")

        daemon.start()
        check(damaged(daemon) == 0, f"{damaged(daemon)} damaged stretches after a kill of a new stream:\n{daemon.process.log()[-3000:]}")
        check(daemon.v1(STREAM, b"behind the kill")[0] == 200, "the put after the restart failed")
        results["c"] = ([b"behind the kill"], [])
        wait_for("everything is delivered", lambda: len(delivered(store)) > accepted, 120, every=1)
        wait_for("nothing waits", lambda: not any(v for k, v in daemon.metrics().items() if k.startswith("hydrant_backlog_records")), 60)
        check(damaged(daemon) == 0, f"{damaged(daemon)} damaged stretches after the drain")
        daemon.stop()
        got = delivered(store)
        compare(got, results)
        print(f"{accepted} records accepted, {len(got)} delivered in {len(store.objects(BUCKET))} objects")
