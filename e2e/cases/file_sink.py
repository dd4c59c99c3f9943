"""Flights appended to rotated files by a daemon that is killed again and again: every record once, in order, though somebody else
renames a file meanwhile. And standard output, which holds the records and nothing else."""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flights
import lake
import search
from harness import BINARY, Daemon, check, running, wait_for, workspace

SOME, KILLS = 60_000, 10


def files(folder, name):
    """The rotated files, oldest first, then the one in use."""
    old = sorted((int(m.group(1)), n) for n in os.listdir(folder) if (m := re.fullmatch(re.escape(name) + r"\.(\d+)", n)))
    return [os.path.join(folder, n) for _, n in reversed(old)] + [os.path.join(folder, name)]


def read(path):
    with open(path, "rb") as f:
        return f.read()


def rotated(folder):
    out = os.path.join(folder, "out")
    stream = {"name": "s", "buffer": {"size": "1MB", "interval": "1s"}, "format": "json", "backup": {"s3": {"bucket": search.FAILED}},
              "destination": {"file": {"path": os.path.join(out, "flights.ndjson"), "rotate": {"size": "1MB"}}}}
    daemon = Daemon(folder, [stream], "file")
    with running(daemon):
        daemon.start()
        source = search.Numbered(daemon, "s", limit=SOME)
        sending = source.in_background()
        for n in range(KILLS):
            enough = min(SOME, source.sent + 4000)
            wait_for("records are accepted", lambda: source.sent >= enough, 60, every=0.01)
            daemon.kill()
            if n == 5:  # as logrotate does
                os.rename(os.path.join(out, "flights.ndjson"), os.path.join(folder, "taken-away"))
            daemon.start()
        sending.join()
        lake.drain(daemon, 60)
        daemon.stop()
    taken = read(os.path.join(folder, "taken-away"))
    lines = [x for f in files(out, "flights.ndjson") for x in read(f).splitlines()]
    got = [json.loads(x)["n"] for x in lines + taken.splitlines()]
    check(sorted(got) == list(range(SOME)), f"{len(got)} records, {len(set(got))} different ones, of {SOME}")
    numbers = [json.loads(x)["n"] for x in lines]
    check(numbers == sorted(numbers), "the order is lost")
    print(f"{SOME} records in {len(files(out, 'flights.ndjson'))} files over {KILLS} kills")


def stdout(folder):
    os.makedirs(folder)
    stream = {"name": "s", "buffer": {"size": "1MB", "interval": "1s"}, "format": "json", "backup": {"s3": {"bucket": search.FAILED}}, "destination": {"file": {"path": "-"}}}
    daemon = Daemon(folder, [stream], "file")
    argv = [BINARY, "run", "--config", daemon.config_path, "--data-dir", daemon.data_dir, "--listen", f"127.0.0.1:{daemon.port}", "--admin", f"127.0.0.1:{daemon.admin_port}"]
    lines = flights.load(5000)
    path = os.path.join(folder, "stdout")
    with open(path, "wb") as out, open(os.path.join(folder, "stderr"), "wb") as err:
        p = subprocess.Popen(argv, stdout=out, stderr=err, cwd=folder, env={**os.environ, **daemon.env})
    try:
        wait_for("the daemon is ready", lambda: ready(daemon, p), 30)
        lake.send(daemon, "s", lines)
        lake.drain(daemon, 30)
    finally:
        p.terminate()
        code = p.wait(30)
    check(code == 0, f"exit code {code}")
    check(read(path) == b"\n".join(lines) + b"\n", f"standard output has {len(read(path))} bytes: {read(path)[:200]}")
    print("standard output: 5000 records")


def ready(daemon, p):
    check(p.poll() is None, f"hydrant ended with {p.returncode}")
    try:
        return daemon.metrics()
    except OSError:
        return False


def main():
    with workspace("file-sink") as folder:
        rotated(folder)
        stdout(os.path.join(folder, "stdout-case"))


main()
