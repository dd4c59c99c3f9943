"""100 streams with 128 MB / 900 s buffers, 50 MB waiting in each: memory stays small, and a restart is ready at once."""
import http.client
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import CACHE, MB, Daemon, check, running, s3_stream, workspace

STREAMS, EACH_MB, BODY_MB = 100, 50, 10
RSS_LIMIT_MB, READY_LIMIT_S = 300, 2.0


def body():
    """Log-like lines; the same for all streams, which the log neither knows nor uses."""
    rnd, out, size = random.Random(1), [], 0
    while size < BODY_MB * MB - 700:
        line = ('{"time":"2026-01-01T00:00:00Z","level":"info","msg":"%x"}' % rnd.getrandbits(2400)).encode()
        out.append(line)
        size += len(line) + 1
    return b"\n".join(out) + b"\n"


def fill(daemon, names, payload, errors):
    try:
        c = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=120)
        for name in names:
            for _ in range(EACH_MB // BODY_MB):
                c.request("POST", f"/v1/streams/{name}/records", payload, {"Content-Type": "application/x-ndjson"})
                r = c.getresponse()
                answer = r.read()
                check(r.status == 200, f"{name}: {r.status} {answer[:300]}")
    except Exception as e:
        errors.append(e)


free = os.statvfs(CACHE)
check(free.f_bavail * free.f_frsize > 8 << 30, "this case needs 8 GB of free disk beside the cache")
names = [f"s{i:03d}" for i in range(STREAMS)]
with workspace("many") as folder:
    daemon = Daemon(folder, [s3_stream(n, "lake", size="128MB", interval="900s") for n in names], "file", shutdown="keep")
    with running(daemon):
        daemon.start()
        print("idle RSS:", daemon.process.status_kb("VmRSS") >> 10, "MB")
        payload, errors, t0 = body(), [], time.monotonic()
        threads = [threading.Thread(target=fill, args=(daemon, names[i::4], payload, errors)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if errors:
            raise errors[0]
        seconds = time.monotonic() - t0
        time.sleep(2)
        rss, peak = daemon.process.status_kb("VmRSS") >> 10, daemon.process.status_kb("VmHWM") >> 10
        waiting = sum(v for k, v in daemon.metrics().items() if k.startswith("hydrant_backlog_bytes{"))
        print(f"{STREAMS * EACH_MB} MB in {seconds:.0f} s; RSS {rss} MB, peak {peak} MB; {waiting / 1e9:.2f} GB waiting")
        check(waiting == 0 or waiting > 4.5e9, "the records were not kept waiting")
        check(peak < RSS_LIMIT_MB and rss < RSS_LIMIT_MB, f"RSS {rss} MB, peak {peak} MB; the limit is {RSS_LIMIT_MB} MB")
        daemon.kill()
        daemon.spawn()
        ready = daemon.wait_ready(60)
        rss = daemon.process.status_kb("VmHWM") >> 10
        print(f"ready after SIGKILL with the backlog: {ready:.2f} s, peak RSS {rss} MB")
        check(ready < READY_LIMIT_S, f"ready after {ready:.2f} s; the limit is {READY_LIMIT_S} s")
        check(rss < RSS_LIMIT_MB, f"peak RSS after the restart is {rss} MB")
        status, _, answer = daemon.v1(names[0], b"one more\n")
        check(status == 200, f"a put after the restart: {status} {answer}")
