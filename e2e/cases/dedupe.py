"""dedupe and filters over kills: what arrives is what a plain count over the same input keeps. Repeats come within the same put, in later ones and on both sides
of a kill; those behind the window are kept again."""
import collections
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
from harness import S3, Daemon, check, running, workspace

ROUNDS, PER_ROUND, IDS, WINDOW = 24, 400, 3_000, 3600


def main():
    rng, ids, sent, kills = random.Random(5), 0, [], 0
    with workspace("dedupe") as folder:
        s3 = S3(folder).start()
        s3.make_bucket("lake")
        configs = [
            lake.lake_stream("once", size="1MB", interval="1s", processors=[{"dedupe": {"key": ".id", "window": f"{WINDOW}s"}}, {"drop": ".pad"}]),
            lake.lake_stream("short", size="1MB", interval="1s", processors=[{"filter": ".id % 2 == 0"}, {"dedupe": {"key": ".id", "window": "1s"}}]),
        ]
        daemon = Daemon(folder, configs, "s3", s3)
        with running(daemon, s3):
            daemon.start()
            for r in range(ROUNDS):
                lines = [{"id": rng.randrange(IDS), "n": r * PER_ROUND + i, "pad": "x" * rng.randrange(300)} for i in range(PER_ROUND)]
                sent.extend(lines)
                for name in ("once", "short"):
                    lake.send(daemon, name, [json.dumps(x).encode() for x in lines])
                time.sleep(rng.random() / 4)  # so that kills meet records on their way
                daemon.kill()
                kills += 1
                daemon.start()
            time.sleep(1.2)  # the window of "short" is over
            lake.send(daemon, "short", [b'{"id":0,"n":-1}', b'{"id":0,"n":-2}'])
            lake.drain(daemon, 60)
            once = [json.loads(text) for _, body in s3.objects("lake", "once/") for text in body.decode().splitlines()]
            short = [json.loads(text) for _, body in s3.objects("lake", "short/") for text in body.decode().splitlines()]
        first = {}
        for x in sent:
            first.setdefault(x["id"], x["n"])
        check(sorted((x["id"], x["n"]) for x in once) == sorted(first.items()), f"once: {len(once)} records, {len(first)} expected, or others")
        check(all("pad" not in x for x in once), "a processor behind dedupe did not run")
        check([x["n"] for x in once] == sorted(x["n"] for x in once), "once: the order is another")
        seen = collections.Counter(x["n"] for x in short)
        check(max(seen.values()) == 1 and {x["id"] for x in short} == {x["id"] for x in sent if x["id"] % 2 == 0} | {0}, "short: a key is missing, or a record is there twice")
        check(seen[-1] == 1 and seen[-2] == 0, "short: what came behind the window was dropped, or its repeat was kept")
        print(f"{len(sent)} records with {len(first)} keys: each key once, its first record, in order, over {kills} kills; {len(short)} of the short window")


if __name__ == "__main__":
    main()
