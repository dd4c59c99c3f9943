"""Functions that time out, crash, answer garbage, drop and repeat ids, answer 7 MB or hang: as processes and under AWS's runtime client. Every record is
delivered or set aside with the reason, once, over kills of the daemon; a stream beside them does not notice."""
import collections
import json
import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import lake
from harness import ROOT, S3, Daemon, check, running, workspace
from lambdahost import Lambda

RECORDS, BAD = 1_000, 7
ADAPTER = os.path.join(ROOT, "deploy", "lambda", "hydrant_lambda.py")
WAYS = {  # what the function does with a bad record: the code, and whether the others of its invocation are set aside, too
    "times out": ("Lambda.FunctionTimedOut", True), "raises": ("Lambda.FunctionError", True), "exits": ("Lambda.FunctionError", True),
    "garbage": ("Lambda.JsonProcessingException", True), "no records": ("Lambda.JsonProcessingException", True),
    "drops an id": ("Lambda.MissingRecordId", False), "repeats an id": ("Lambda.DuplicatedRecordId", False), "invents an id": ("Lambda.MissingRecordId", False),
    "7 MB": ("Lambda.PayloadTooLarge", False), "no base64": ("Lambda.JsonProcessingException", False), "lower case": ("Lambda.JsonProcessingException", False),
    "no data": ("Lambda.JsonProcessingException", False), "empty key": ("Lambda.JsonProcessingException", False),
    "hangs on the third": (None, False),
}
UNDER_RUNTIME = ("times out", "raises", "garbage", "7 MB")


def line(n):
    return json.dumps({"n": n, "customer": "c", **({"bad": 1} if n == BAD else {})}).encode()


def stream(name, hook):
    hook = {"buffer": {"size": "200KB", "interval": "0s"}, "retries": 1, "timeout": "1s", "concurrent": 1, **hook}
    return lake.lake_stream(name, size="1MB", interval="1s", processors=[{"lambda": hook}])


def named(way):
    return way.replace(" ", "-").lower()


def program(way, folder):
    return {"exec": [sys.executable, ADAPTER, "bad_function.handler"], "env": {"LAMBDA_TASK_ROOT": folder, "WAY": way}}


def verify(s3, name, way):
    code, whole = WAYS[way]
    arrived = collections.Counter(json.loads(text)["n"] for _, body in s3.objects("lake", f"{name}/") for text in body.decode().splitlines())
    aside = lake.failures(s3, "lake", name)
    failed = collections.Counter(json.loads(entry["rawData"])["n"] for _, entry in aside)
    total = arrived + failed
    check(len(total) == RECORDS and max(total.values()) == 1, f"{name}: {RECORDS - len(total)} lost, {sum(v > 1 for v in total.values())} twice")
    if code is None:
        check(not failed, f"{name}: {len(failed)} were set aside")
        return 0
    check(BAD in failed and {e["errorCode"] for _, e in aside} == {code}, f"{name}: {collections.Counter(e['errorCode'] for _, e in aside)}, expected {code}")
    check(whole or len(failed) == 1, f"{name}: {len(failed)} were set aside for one")
    return len(failed)


def main():
    with workspace("lambda-faults") as folder:
        for file in ("firehose_function.py", "bad_function.py"):
            shutil.copy(os.path.join(HERE, "..", "lib", file), folder)
        s3 = S3(folder).start()
        s3.make_bucket("lake")
        functions = {way: Lambda(folder, "bad_function", seconds=0.7, env={"WAY": way}).start(f"lambda-{named(way)}") for way in UNDER_RUNTIME}
        ways = {named(way): way for way in WAYS} | {"runtime-" + named(way): way for way in UNDER_RUNTIME}
        configs = [stream(name, {"function": "f", "endpoint": functions[way].url} if name.startswith("runtime-") else program(way, folder)) for name, way in ways.items()]
        daemon = Daemon(folder, [*configs, lake.lake_stream("beside", size="1MB", interval="1s")], "s3", s3)
        with running(daemon, s3, *functions.values()):
            daemon.start()
            for part in range(0, RECORDS, 250):
                for name in ways:
                    lake.send(daemon, name, [line(n) for n in range(part, part + 250)])
                began = time.monotonic()
                lake.send(daemon, "beside", [line(n) for n in range(part, part + 250)])
                check(time.monotonic() - began < 3, "a stream beside them is held up")
                if part == 250:
                    daemon.kill()
                    daemon.start()
            lake.drain(daemon, 120)
            aside = {name: verify(s3, name, way) for name, way in ways.items()}
            log = daemon.process.log()
            check("must not be logged" not in log, "a record is in the log")
        print(f"{len(ways)} functions, {RECORDS} records each: delivered or set aside, once; set aside: {aside}")


if __name__ == "__main__":
    main()
