"""Readers follow a file that is appended to, rotated, renamed by others and written by a daemon that is killed in the midst of it: what they have read
is never taken back and never comes twice. Beside it the same records as gzip, which gzip reads."""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import search
from follower import Follower, Tail
from harness import Daemon, check, running, wait_for, workspace
from parts import Parts

PARTS, EACH, RENAMES = 14, 15_000, (4, 9)
SOME = PARTS * EACH
PLAIN, GZIP = "flights.ndjson", "flights.ndjson.gz"


def file_stream(name, path, **more):
    return {"name": name, "buffer": {"size": "8MB", "interval": "1s"}, "format": "json", "backup": {"s3": {"bucket": search.FAILED}},
            "destination": {"file": {"path": path, "rotate": {"size": "3MB"}}}, **more}


def read(path):
    with open(path, "rb") as f:
        return f.read()


def rotated(folder, name):
    """The bytes of the rotated files, oldest first, then of the one in use."""
    old = sorted((int(m[1]) for n in os.listdir(folder) if (m := re.fullmatch(re.escape(name) + r"\.(\d+)", n))), reverse=True)
    check(old == list(range(len(old), 0, -1)), f"the rotated files have the numbers {old}")
    return [read(os.path.join(folder, f"{name}.{n}")) for n in old] + [read(os.path.join(folder, name))]


def size(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def grows(path):
    before = size(path)
    wait_for("the file grows, or is another one", lambda: size(path) != before, 30, every=0.0002)


def kill_within_a_batch(daemon, path):
    """As soon as the file is seen to have changed. Whether it ends within a line then; between two renames there is none."""
    grows(path)
    daemon.kill()
    data = read(path) if os.path.exists(path) else b""
    daemon.start()
    return data[-1:] not in (b"", b"\n")


def rename(daemon, path, folder, part):
    """As logrotate does, while the daemon writes to the file; what comes later makes a new one. Nothing that a kill left is open before, and nobody is
    killed until the batch has ended."""
    lake.drain(daemon)
    sending = part()
    grows(path)
    away = os.path.join(folder, f"away-{os.stat(path).st_ino}")
    os.rename(path, away)
    sending.join()
    lake.drain(daemon)
    return away


def first(data):
    return json.loads(data[:data.index(b"\n")])["n"]


def verify(source, out, away, follower, tail):
    want = b"".join(source.record(n) + b"\n" for n in range(SOME))
    files = rotated(out, PLAIN)
    check([first(x) for x in files] == sorted(map(first, files)), "the rotated files are not in order")
    files = sorted(files + [read(x) for x in away], key=first)
    check(b"".join(files) == want, f"the files hold {sum(map(len, files))} bytes, {len(want)} expected: {difference(b''.join(files), want)}")
    seen = follower.end()
    check(seen == want, f"a reader saw {len(seen)} bytes, {len(want)} expected: {difference(seen, want)}")
    lines = tail.end(source.record(SOME - 1))
    numbers = [json.loads(x)["n"] for x in lines]
    check(all(a < b for a, b in zip(numbers, numbers[1:])), "tail saw records twice, or out of order")
    check(all(x == source.record(n) for x, n in zip(lines, numbers)), "tail saw lines that are no records")
    check(len(lines) > SOME // 2, f"tail saw only {len(lines)} records")
    unpacked = subprocess.run(["gzip", "-dc"], input=b"".join(rotated(out, GZIP)), capture_output=True, check=True, timeout=60).stdout
    check(unpacked == want, f"gzip: {difference(unpacked, want)}")
    print(f"{SOME} records in {len(files)} files, {len(away)} of them moved away by others; a reader saw each byte once, tail {len(lines)} records, each once")


def difference(got, want):
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    return f"byte {at} is {got[at:at + 80]}, not {want[at:at + 80]}"


def main():
    with workspace("file-follow") as folder:
        out = os.path.join(folder, "out")
        path, away, torn = os.path.join(out, PLAIN), [], 0
        os.makedirs(out)
        streams = [file_stream("plain", path), file_stream("gzip", os.path.join(out, GZIP), compression="gzip")]
        daemon, follower, tail = Daemon(folder, streams, "file"), Follower(path), Tail(path, folder)
        with running(daemon, tail):
            daemon.start()
            source = search.Numbered(daemon, "plain", limit=SOME)
            plain, packed = Parts(source, EACH), Parts(search.Numbered(daemon, "gzip", limit=SOME), EACH)
            for n in range(PARTS):
                packing = packed.send(n)
                if n in RENAMES:
                    away.append(rename(daemon, path, folder, lambda n=n: plain.send(n)))
                else:
                    sending = plain.send(n)
                    torn += kill_within_a_batch(daemon, path)
                    sending.join()
                packing.join()
            lake.drain(daemon, 60)
            daemon.stop()
            verify(source, out, away, follower, tail)
        print(f"{PARTS - len(RENAMES)} kills, {torn} of them within a line that the file held half")


main()
