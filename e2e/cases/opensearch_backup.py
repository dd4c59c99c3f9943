"""A backup of everything beside OpenSearch: every record is in the index and in the backup bucket, each once, and what the index refused has its
error record, too; while the daemon is killed, the bucket is away (the index goes on) and the index is away (the bucket goes on)."""
import collections
import gzip
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import search
from harness import S3, Daemon, check, running, wait_for, workspace
from opensearch import OpenSearch

NAME, SOME = "flights", 100_000
ALL = {"mode": "all", "compression": "gzip", "buffer": {"size": "1MB", "interval": "1s"},
       "s3": {"bucket": search.FAILED, "prefix": "everything/", "error_prefix": NAME + "/!{firehose:error-output-type}/"}}


def more(source, n):
    enough = min(source.sent + n, len(source.lines))
    wait_for("records are accepted", lambda: source.sent >= enough, 60, every=0.02)
    return enough


def kill(daemon):
    daemon.kill()
    daemon.start()


def bucket_away(s3, node, daemon, source):
    """What is accepted meanwhile comes into the index."""
    s3.stop()
    upto = more(source, 10_000)
    kill(daemon)
    wait_for("the index goes on", lambda: node.count(NAME, {"range": {"n": {"gte": upto - 5000, "lt": upto}}}) >= 4900, 60, every=0.5)
    s3.start()


def index_away(s3, node, daemon, source):
    """What is accepted meanwhile comes into the bucket."""
    node.kill()
    upto = more(source, 10_000)
    kill(daemon)
    seen = {}
    wait_for("the bucket goes on", lambda: copies(s3, seen)[upto - 1] == 1, 60, every=0.5)
    node.start()


def copies(s3, seen=None):
    """How often each record is in the backup, by its number."""
    out = collections.Counter()
    for key, body in s3.objects(search.FAILED, "everything/", seen):
        check(key.endswith(".gz"), f"unexpected object {key}")
        for line in gzip.decompress(body).replace(b"}{", b"}\n{").splitlines():  # as they came, without line breaks
            out[json.loads(line)["n"]] += 1
    return out


def same_bytes(s3, source):
    """The backup holds the very bytes that were sent."""
    got = b"".join(gzip.decompress(b) for _, b in s3.objects(search.FAILED, "everything/"))
    check(got == b"".join(map(source.record, range(len(source.lines)))), f"{len(got)} bytes in the backup are not those that were sent, or not in order")


def main():
    with workspace("opensearch-backup") as folder:
        s3, node = S3(folder), OpenSearch(folder)
        daemon = Daemon(folder, [search.stream(NAME, node.url, backup=ALL, buffer={"size": "1MB"})], "s3", s3)
        with running(daemon, s3, node):
            s3.start().make_bucket(search.FAILED)
            node.start()
            node.ask("PUT", "/" + NAME, search.MAPPING)
            daemon.start()
            source = search.Numbered(daemon, NAME, bad=500, limit=SOME)
            sending = source.in_background()
            for happens in (bucket_away, index_away):
                more(source, 8_000)
                kill(daemon)
                more(source, 4_000)
                happens(s3, node, daemon, source)
            kill(daemon)
            sending.join()
            kill(daemon)
            lake.drain(daemon, 90)
            daemon.stop()
            got = copies(s3)
            check(got == collections.Counter(range(SOME)), f"{got.total()} copies of {len(got)} records in the backup, {SOME} were sent")
            same_bytes(s3, source)
            documents, errors = node.documents(NAME), search.errors(s3, NAME)
            source.compare(documents, errors)
            print(f"{got.total()} copies, {len(documents)} documents, {len(errors)} set aside; 6 kills of the daemon, 1 of the node, 1 of the bucket")


main()
