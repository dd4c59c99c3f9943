"""Records over Firehose's HTTP endpoint protocol and with Idempotency-Key, repeated over hard kills; tokens; and error records sent again."""
import base64
import collections
import gzip
import http.client
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
from harness import BINARY, S3, Daemon, check, running, wait_for, workspace

REQUESTS, EACH, KILLS, KEYED = 120, 50, 4, 20
ARN = "arn:aws:firehose:us-east-1:123456789012:deliverystream/out"
OLD, NEW = "the first key/+=", "the second key"
BAD = [b'{"n":%d}{"cut":' % n for n in range(30)]  # objects one behind the other, the last one cut


def records(n):
    """What the nth delivery holds; two deliveries hold the same records, under ids of their own."""
    if n == REQUESTS - 1:
        n -= 1
    return [b'{"request":%d,"record":%d,"pad":"%s"}\n' % (n, i, b"x" * (n % 40)) for i in range(EACH)]


def body(name, rows):
    """A request's body; the members stand in another order each time."""
    members = [("requestId", name), ("timestamp", int(time.time() * 1000)), ("records", [{"data": base64.b64encode(r).decode()} for r in rows])]
    turn = int(time.time() * 1000) % 3
    return json.dumps(dict(members[turn:] + members[:turn])).encode()


def headers(name, key):
    return {"X-Amz-Firehose-Protocol-Version": "1.0", "X-Amz-Firehose-Request-Id": name, "X-Amz-Firehose-Source-Arn": ARN,
            "X-Amz-Firehose-Common-Attributes": json.dumps({"commonAttributes": {"env": "e2e", "name": name}}),
            "Content-Type": "application/json", **({"X-Amz-Firehose-Access-Key": key} if key else {})}


def deliver(daemon, name, rows, stream="in", key=OLD, packed=True):
    """One request as Firehose makes it: its status. Any answer is held against the protocol."""
    raw, h = body(name, rows), headers(name, key)
    if packed:
        raw, h = gzip.compress(raw), {**h, "Content-Encoding": "gzip"}
    status, head, answer = daemon.post(f"/v1/firehose/{stream}", raw, h)
    check(head["Content-Type"] == "application/json" and "Content-Encoding" not in head and head["Content-Length"], f"headers {head}")
    check(isinstance(answer, dict) and answer.get("requestId") == name and isinstance(answer.get("timestamp"), int), f"{status} {answer}")
    check(bool(answer.get("errorMessage")) == (status != 200), f"{status} {answer}")
    return status


def until_taken(send):
    """Sends again, as Firehose does, whatever happens, until it is taken. Returns how often it was sent."""
    times = 0
    end = time.monotonic() + 60
    while time.monotonic() < end:
        times += 1
        try:
            if send() == 200:
                return times
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)  # killed
    check(False, "not taken within 60 s")


def keyed(daemon, n):
    """One request of the nth key."""
    status, _, answer = daemon.v1("keyed", b"\n".join(b'{"key":%d,"line":%d}' % (n, i) for i in range(10)),
                                  headers={"Idempotency-Key": f"key {n}", "Authorization": f"Bearer {OLD}"})
    check(status != 200 or answer == {"accepted": 10}, f"{status} {answer}")
    return status


def send_all(daemon, sent):
    """All requests in order, every third one twice at once."""
    for n in range(REQUESTS):
        twin = threading.Thread(target=lambda: sent.append(until_taken(lambda: deliver(daemon, f"id-{n}", records(n), packed=n % 2 == 0))))
        if n % 3 == 0:
            twin.start()
        sent.append(until_taken(lambda: deliver(daemon, f"id-{n}", records(n), packed=n % 2 == 0)))
        if n % 3 == 0:
            twin.join()
        if n < KEYED:
            sent.append(until_taken(lambda: keyed(daemon, n)))


def over_kills(daemon, sent):
    """Everything is sent, and while that goes on the process is killed again and again."""
    sender = threading.Thread(target=send_all, args=(daemon, sent))
    sender.start()
    for kill in range(KILLS):
        at = (kill + 1) * REQUESTS // (KILLS + 2)
        wait_for("some requests are taken", lambda: len(sent) > at or not sender.is_alive(), 60, every=0.005)
        daemon.kill()
        daemon.start()
    sender.join()
    check(len(sent) >= REQUESTS + KEYED, f"only {len(sent)} requests were taken")
    check(any(times > 1 for times in sent), "no request met a kill")


def refusals(daemon):
    """What is refused, and leaves nothing behind."""
    bad = json.dumps({"requestId": "bad", "records": [{"data": "YQ=="}, {"data": "no base64"}]}).encode()
    for what, got, want in [
        ("no key", deliver(daemon, "r1", [b"never"], key=None), 401),
        ("a wrong key", deliver(daemon, "r2", [b"never"], key="wrong"), 403),
        ("a stream that is not allowed", deliver(daemon, "r3", [b"never"], stream="hidden"), 403),
        ("a stream that is not there", deliver(daemon, "r4", [b"never"], stream="nobody"), 403),
        ("no base64", daemon.post("/v1/firehose/in", bad, headers("bad", OLD))[0], 400),
        ("two ids", daemon.post("/v1/firehose/in", body("r5", [b"never"]), headers("r6", OLD))[0], 400),
        ("half of a packed body", daemon.post("/v1/firehose/in", gzip.compress(body("r7", [b"never"]))[:-9], {**headers("r7", OLD), "Content-Encoding": "gzip"})[0], 400),
        ("a record that is too long", deliver(daemon, "r8", [b"x" * 1_024_001]), 413),
        ("plain HTTP without a token", daemon.v1("in", b"never")[0], 401),
        ("the API, which nobody can sign for", daemon.api("ListDeliveryStreams", {})[0], 403),
    ]:
        check(got == want, f"{what}: {got}, want {want}")


def rotate(daemon, path):
    """The key's file is replaced: the new one is good within seconds, the old one no more."""
    with open(path + ".new", "w") as f:
        f.write(NEW + "\n")
    os.replace(path + ".new", path)
    wait_for("the new key is good", lambda: deliver(daemon, "none", [], key=NEW) == 200, 15)
    check(deliver(daemon, "none", [], key=OLD) == 403, "the old key is still good")


def replay(daemon, s3, *more):
    """Runs replay-errors: what it printed."""
    argv = [BINARY, "replay-errors", "lake/failed/split/", "--endpoint", daemon.url, "--s3-endpoint", s3.url, *more]
    done = subprocess.run(argv, env={**os.environ, **daemon.env, "HYDRANT_TOKEN": NEW}, text=True, capture_output=True, timeout=60)
    check(done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stdout} {done.stderr}")
    return done.stdout


def errors_again(daemon, s3):
    """Records that could not be taken apart come back into a stream that does not try, each once."""
    check(deliver(daemon, "bad-ones", BAD + BAD[:1], stream="split", key=NEW) == 200, "the records that will fail")
    lake.drain(daemon)
    failed = lake.failures(s3, "lake", "split")
    check(sorted(e["rawData"] for _, e in failed) == sorted(BAD + BAD[:1]), f"{len(failed)} records were set aside")
    n = len(failed)
    told = replay(daemon, s3, "--dry-run")
    check(f"{n}  RecordDeAggregation.ParseError" in told and "nothing was sent" in told, told)
    told = replay(daemon, s3, "--stream", "again", "--type", "splunk-failed")
    check(told == "0 objects: 0 accepted, 0 repeated by stream again\n", told)
    told = replay(daemon, s3, "--stream", "again")
    check(f"{n} accepted, 0 repeated by stream again" in told, told)
    daemon.kill()
    daemon.start()
    for _ in range(2):
        told = replay(daemon, s3, "--stream", "again")
        check(f"0 accepted, {n} repeated by stream again" in told, told)
        lake.drain(daemon)


def lines(s3, stream):
    return [x for _, b in s3.objects("lake", stream + "/") for x in b.splitlines(keepends=True)]


def verify(s3):
    got = collections.Counter(lines(s3, "in"))
    want = collections.Counter(r for n in range(REQUESTS) for r in records(n))
    wrong = {k: (got[k], want[k]) for k in got | want if got[k] != want[k]}
    check(not wrong, f"in: {len(wrong)} records are there another number of times than they were sent, such as {list(wrong.items())[:3]}")
    got = collections.Counter(lines(s3, "keyed"))
    check(got == collections.Counter(b'{"key":%d,"line":%d}\n' % (n, i) for n in range(KEYED) for i in range(10)), f"keyed: {len(got)} records, or some twice")
    got = collections.Counter(lines(s3, "again"))
    check(got == collections.Counter(b + b"\n" for b in BAD + BAD[:1]), f"again: {got}")
    check(not lines(s3, "hidden"), "hidden: something was taken")


with workspace("receiver") as folder:
    key_file = os.path.join(folder, "key")
    with open(key_file, "w") as f:
        f.write(OLD + "\n")
    s3 = S3(folder)
    auth = {"tokens": [{"name": "sender", "token": "file:" + key_file,
                        "allow": [{"actions": ["firehose:PutRecord*"], "streams": ["in", "keyed", "split", "aga*"]}]}]}
    streams = [lake.lake_stream("in"), lake.lake_stream("keyed"), lake.lake_stream("hidden"), lake.lake_stream("again"),
               lake.lake_stream("split", processors=[{"deaggregate": "json"}])]
    daemon = Daemon(folder, streams, "s3", s3, auth=auth)
    with running(daemon, s3):
        s3.start().make_bucket("lake")
        daemon.start()
        sent = []
        over_kills(daemon, sent)
        refusals(daemon)
        lake.drain(daemon)
        daemon.stop()
        daemon.start()
        for n in range(0, REQUESTS, 7):  # long delivered
            check(deliver(daemon, f"id-{n}", records(n)) == 200, "a late repeat")
            check(n >= KEYED or keyed(daemon, n) == 200, "a late repeat of a key")
        rotate(daemon, key_file)
        errors_again(daemon, s3)
        lake.drain(daemon)
        daemon.stop()
        verify(s3)
        print(f"{len(sent)} requests were taken, sent {sum(sent)} times over {KILLS} kills: {REQUESTS * EACH} records, each once; {len(BAD) + 1} error records came back once")
