"""Compressed objects read by other people's readers: Hadoop snappy by aircompressor, xerial snappy by snappy-java, and gzip objects,
also of several members, by Python, gzip, the JDK and DuckDB."""
import gzip
import json
import os
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flights
import lake
from harness import CACHE, S3, Daemon, check, running, s3_stream, workspace

CODECS = ("hadoop-snappy", "snappy", "gzip")
records = flights.load()
WHOLE = b"\n".join(records) + b"\n"


def by_java(jobs):
    """Unpacks [(codec, path)] in one JVM."""
    argv = ["java", "-cp", os.path.join(CACHE, "java", "*") + os.pathsep + os.path.join(CACHE, "java"), "DecodeObject"]
    p = subprocess.run([*argv, *(x for codec, path in jobs for x in (codec, path, path + ".out"))], capture_output=True, text=True, timeout=120)
    check(p.returncode == 0, f"java: exit {p.returncode}: {p.stderr[-2000:]}")
    out = {}
    for _, path in jobs:
        with open(path + ".out", "rb") as f:
            out[path] = f.read()
        os.remove(path + ".out")
    return out


def members(body):
    """How many gzip members a body has: each begins anew where the one before it ends."""
    n = 0
    while body:
        d = zlib.decompressobj(wbits=31)
        d.decompress(body)
        check(d.eof, "a gzip member is cut short")
        body, n = d.unused_data, n + 1
    return n


def check_gzip(path, want):
    """gzip(1), Python and DuckDB."""
    with open(path, "rb") as f:
        body = f.read()
    check(gzip.decompress(body) == want, f"{path}: Python reads something else")
    out = subprocess.run(["gzip", "-dc", path], capture_output=True, timeout=60)
    check(out.returncode == 0 and out.stdout == want, f"{path}: gzip(1) reads something else: {out.stderr[-300:]}")
    got = lake.duck(f"SELECT count(*), sum(delay), sum(distance) FROM read_json({lake.quoted(path)}, format='newline_delimited', compression='gzip', "
                    "columns={delay: 'INT', distance: 'INT'})")[0]
    rows = [json.loads(x) for x in want.splitlines()]
    check(got == (len(rows), sum(r["delay"] for r in rows), sum(r["distance"] for r in rows)), f"{path}: DuckDB reads {got}")


def join(paths, folder):
    """Objects one behind the other are one gzip file of several members."""
    path = os.path.join(folder, "joined.gz")
    with open(path, "wb") as out:
        for p in paths:
            with open(p, "rb") as f:
                out.write(f.read())
    return path


with workspace("codecs-java") as folder:
    s3 = S3(folder)
    daemon = Daemon(folder, [s3_stream("c-" + c, "lake", size="4MB", interval="2s", format="json", compression=c) for c in CODECS], "s3", s3)
    with running(daemon, s3):
        s3.start().make_bucket("lake")
        daemon.start()
        for codec in CODECS:
            lake.send(daemon, "c-" + codec, records)
        lake.drain(daemon)
        daemon.stop()
        paths = {c: lake.download(s3.objects("lake", f"c-{c}/"), os.path.join(folder, "files")) for c in CODECS}
        check(all(len(p) > 1 for p in paths.values()), "one object only: nothing to join")
        java = by_java([(c, p) for c in CODECS for p in paths[c]])
        for codec in CODECS:
            check(b"".join(java[p] for p in paths[codec]) == WHOLE, f"{codec}: Java reads other records than were sent")
        for p in paths["gzip"]:
            check_gzip(p, java[p])
        joined = join(paths["gzip"], folder)
        with open(joined, "rb") as f:
            count = members(f.read())
        check(count >= len(paths["gzip"]), f"{count} members in {len(paths['gzip'])} objects")
        check_gzip(joined, WHOLE)
        check(by_java([("gzip", joined)])[joined] == WHOLE, "several members: the JDK reads other records than were sent")
        print({c: len(p) for c, p in paths.items()}, "objects;", count, "gzip members joined")
