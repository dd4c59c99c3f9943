"""A Python function for Firehose, unchanged, asked in three ways: by Invoke under AWS's own runtime client, over HTTP, and as a process. What
arrives in S3 is the same, in folders named by the partition keys that the function gives; the daemon is killed on the way, and each record is there once."""
import collections
import http.server
import json
import os
import shutil
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import firehose_function
import lake
from harness import ROOT, S3, Daemon, check, running, workspace
from lambdahost import Lambda

RECORDS, PART, KILLS = 6_000, 500, 6
ADAPTER = os.path.join(ROOT, "deploy", "lambda", "hydrant_lambda.py")


def line(n):
    if n % 50 == 49:
        return b"no JSON %d" % n
    return json.dumps({"n": n, "customer": f"c/{n % 7}", "email": f"someone{n}@example.com", **({"probe": True} if n % 50 == 48 else {})}).encode()


class Hook(http.server.BaseHTTPRequestHandler):
    """The same function behind a plain HTTP server."""

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(firehose_function.handler(event, type("Context", (), {"aws_request_id": "x"}))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def streams(function, url, folder):
    ways = {"invoke": {"function": "redact", "endpoint": function}, "http": {"url": url},
            "exec": {"exec": [sys.executable, ADAPTER, "firehose_function.handler"], "env": {"LAMBDA_TASK_ROOT": folder}}}
    return [lake.lake_stream(name, prefix=f"{name}/customer=!{{partitionKeyFromLambda:customer}}/", size="1MB", interval="2s",
                             processors=[{"lambda": {**way, "buffer": {"size": "200KB", "interval": "1s"}, "concurrent": 2}}]) for name, way in ways.items()]


def put(daemon, names):
    """All records of each stream, with kills in between. Only what was acknowledged is gone on from."""
    for part in range(0, RECORDS, PART):
        for name in names:
            lake.send(daemon, name, [line(n) for n in range(part, part + PART)])
        if part // PART % 2 == 1:
            daemon.kill()
            daemon.start()


def delivered(s3, name):
    """By folder, each record as it lies there."""
    out = {}
    for key, body in s3.objects("lake", f"{name}/"):
        folder = key.split("/")[1]
        out.setdefault(folder, []).extend(body.decode().splitlines())
    return {folder: sorted(lines) for folder, lines in out.items()}


def errors(s3, name):
    """What was set aside, its raw data decoded."""
    found = lake.failures(s3, "lake", name)
    check({kind for kind, _ in found} == {"processing-failed"}, f"{name}: {collections.Counter(kind for kind, _ in found)}")
    return [entry for _, entry in found]


def verify(s3, name):
    got = delivered(s3, name)
    numbers = collections.Counter(json.loads(text)["n"] for lines in got.values() for text in lines)
    expected = {n for n in range(RECORDS) if n % 50 < 48}
    check(set(numbers) == expected and max(numbers.values()) == 1, f"{name}: {len(expected - set(numbers))} lost, {sum(v > 1 for v in numbers.values())} twice")
    for folder, lines in got.items():
        for text in lines:
            body = json.loads(text)
            check(folder == "customer=" + body["customer"].replace("/", "%2F") and body["seen"] and "email" not in body, f"{name}: {text} in {folder}")
    failed = errors(s3, name)
    check(len(failed) == RECORDS // 50 and {e["errorCode"] for e in failed} == {"Lambda.ProcessingFailedStatus"}, f"{name}: {len(failed)} set aside, such as {failed[:1]}")
    check(all(e["lambdaArn"] and e["attemptsMade"] == 1 for e in failed), f"{name}: such as {failed[:1]}")
    check(sorted(e["rawData"] for e in failed) == sorted(line(n) for n in range(49, RECORDS, 50)), f"{name}: other records were set aside")
    return got


def main():
    with workspace("lambda-contract") as folder:
        shutil.copy(os.path.join(HERE, "..", "lib", "firehose_function.py"), folder)
        s3 = S3(folder).start()
        s3.make_bucket("lake")
        function = Lambda(folder, "firehose_function").start()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        configs = streams(function.url, f"http://127.0.0.1:{server.server_address[1]}/", folder)
        names = [c["name"] for c in configs]
        daemon = Daemon(folder, configs, "s3", s3)
        with running(daemon, s3, function):
            daemon.start()
            put(daemon, names)
            lake.drain(daemon, 90)
            results = [verify(s3, name) for name in names]
        server.shutdown()
        check(results[0] == results[1] == results[2], "the three ways gave other objects")
        print(f"{RECORDS} records each by {', '.join(names)}: the same in {len(results[0])} folders, {RECORDS // 50} set aside, over {KILLS} kills")


if __name__ == "__main__":
    main()
