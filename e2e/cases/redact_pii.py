"""2,000 log lines with seeded e-mail addresses, card numbers, IP addresses and phone numbers, in text and in JSON, escaped and as keys: nothing of it is in S3,
and what only looks like it is. Equal values stay equal where they are hashed."""
import gzip
import json
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
from harness import S3, Daemon, check, running, workspace

LINES, DETECT, KEY = 2_000, ["email", "credit_card", "ipv4", "ipv6", "phone"], "a-key-of-the-case"


def card(rng, prefix, length):
    body = prefix + "".join(str(rng.randrange(10)) for _ in range(length - 1 - len(prefix)))
    for last in "0123456789":
        digits = [int(c) for c in reversed(body + last)]
        if sum(d if i % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(digits)) % 10 == 0:
            return body + last


def secret(rng, n):
    visa, amex = card(rng, "4", 16), card(rng, "37", 15)
    return [f"user{n}.name+tag@mail{n}.example.com", visa, f"{visa[:4]} {visa[4:8]} {visa[8:12]} {visa[12:]}", f"{amex[:4]}-{amex[4:10]}-{amex[10:]}",
            f"{rng.randrange(1, 256)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}", f"2001:db8:{n:x}::{rng.randrange(1, 65536):x}", f"+49 30 {rng.randrange(10**7, 10**8)}"][n % 7]


def alike(n):
    return [f"order-{10 * n + 1:016d}", f"v1.{n % 9}.{n % 7}.{n % 5}", f"{n % 24:02d}:{n % 60:02d}:{n % 59:02d}", f"{n:08x}-e89b-12d3-a456-{n:012x}", f"00:1b:44:{n % 256:02x}:3a:b7", str(1_700_000_000_000 + n)][n % 6]


def line(n, hidden):
    text = f"request of ({hidden}) about {alike(n)}, done"
    kind = n // 7 % 4
    if kind == 0:
        return text
    if kind == 1:
        return json.dumps({"n": n, "message": text})
    if kind == 2:
        return json.dumps({"n": n, "by": [{hidden: alike(n)}], "deep": {"x": text}})
    return '{"n":%d,"m":"%s, %s"}' % (n, "".join(f"\\u{ord(c):04x}" for c in hidden), alike(n))


def main():
    rng = random.Random(7)
    hidden = [secret(rng, n) for n in range(LINES)]
    with workspace("redact-pii") as folder:
        s3 = S3(folder).start()
        s3.make_bucket("lake")
        configs = [
            lake.lake_stream("mask", size="1MB", interval="1s", processors=[{"redact": {"detect": DETECT}}]),
            lake.lake_stream("hash", size="1MB", interval="1s", compression="gzip", processors=[{"redact": {"detect": DETECT, "fields": [".user"], "action": "hash", "key": KEY}}]),
        ]
        daemon = Daemon(folder, configs, "s3", s3)
        with running(daemon, s3):
            daemon.start()
            lines = [line(n, h).encode() for n, h in enumerate(hidden)]
            lake.send(daemon, "mask", lines[:LINES // 2])
            daemon.kill()
            daemon.start()
            lake.send(daemon, "mask", lines[LINES // 2:])
            lake.send(daemon, "hash", [*lines, b'{"user":"a@example.com","text":"a@example.com"}'])
            lake.drain(daemon, 60)
            mask = b"".join(body for _, body in s3.objects("lake", "mask/")).decode()
            digest = b"".join(gzip.decompress(body) for _, body in s3.objects("lake", "hash/")).decode()
            everything = mask + digest + json.dumps([json.loads(x) for x in (mask + digest).splitlines() if x.startswith("{")])
            check(not s3.objects("lake", lake.ERRORS), "records were set aside")
            check(KEY not in daemon.process.log() and not any(h in daemon.process.log() for h in hidden), "a secret is in the log")
        left = [h for h in hidden if h in everything]
        check(not left, f"{len(left)} of {LINES} are in S3, such as {left[:3]}")
        check(len(mask.splitlines()) == LINES and len(digest.splitlines()) == LINES + 1, f"{len(mask.splitlines())} and {len(digest.splitlines())} records")
        gone = [alike(n) for n in range(LINES) if alike(n) not in mask or alike(n) not in digest]
        check(not gone, f"{len(gone)} look-alikes are gone, such as {gone[:3]}")
        both = json.loads(digest.splitlines()[-1])
        check(both["user"] == both["text"] and len(both["user"]) == 32, f"equal values became {both}")
        print(f"{LINES} lines each masked and hashed: nothing seeded is in S3, and every look-alike")


if __name__ == "__main__":
    main()
