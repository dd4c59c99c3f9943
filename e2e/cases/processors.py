"""Processors in the real binary: CloudWatch Logs payloads unpacked and taken apart, records split, arrays written; killed in between."""
import collections
import gzip
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
from harness import S3, Daemon, check, running, workspace

PAYLOADS, EVENTS = 60, 20
DAMAGED = [b"not gzip at all", gzip.compress(b'{"messageType":"DATA_MESSAGE"}')[:-6]]
CONTROL = gzip.compress(json.dumps({"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": "", "message": "CWL CONTROL MESSAGE"}]}).encode(), mtime=0)
SPLIT_BAD = [b'{"customer":"a","n":1}{"customer":', b"[1,2]", b"plain text"]
KEYLESS = b'{"n":-1,"customer":null}'


def message(n):
    """What a service logged; JSON, so that it can have columns."""
    return json.dumps({"n": n, "customer": f"c/{n % 7}", "text": f"line \"{n}\" ü\n{'x' * (n % 50)}"})


def payload(p):
    """One record of CloudWatch Logs: gzip of many events."""
    events = [{"id": str(n), "timestamp": 1_750_000_000_000 + n, "message": message(n)} for n in range(p * EVENTS, (p + 1) * EVENTS)]
    body = {"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "g", "logStream": "s", "subscriptionFilters": ["f"], "logEvents": events}
    return gzip.compress(json.dumps(body).encode(), mtime=0)


def several(n):
    """One record that holds three: objects one behind the other, or an array of them."""
    parts = [json.dumps({"n": 3 * n + i, "customer": f"c/{n % 5}"}) for i in range(3)]
    return ("[" + " , ".join(parts) + "]" if n % 2 else "\n ".join(parts)).encode()


UNPACK = [{"decompress": "gzip"}, {"cloudwatch_logs": {"extract": "message"}}]
SPEC = {
    "logs": {"format": "raw", "processors": [*UNPACK, {"append_delimiter": "\n"}]},
    "log-columns": {"format": "parquet", "parquet": {"schema": {"columns": {"n": "int", "text": "string"}}},
                    "processors": [*UNPACK, {"partition": {"customer": ".customer"}}],
                    "prefix": "log-columns/customer=!{partitionKeyFromQuery:customer}/"},
    "split": {"format": "json", "compression": "gzip", "processors": [{"deaggregate": "json"}, {"partition": {"customer": ".customer"}}],
              "prefix": "split/customer=!{partitionKeyFromQuery:customer}/"},
    "array": {"format": "json-array", "compression": "gzip", "processors": [{"deaggregate": {"type": "delimited", "delimiter": "||"}}]},
}


def records(name, half):
    """What a stream is sent in one half of the case."""
    at = range(half * PAYLOADS // 2, (half + 1) * PAYLOADS // 2)
    if name in ("logs", "log-columns"):
        return [*(payload(p) for p in at), CONTROL, *(DAMAGED if half else [])]
    if name == "split":
        return [*(several(n) for n in at), *([*SPLIT_BAD, KEYLESS] if half else [])]
    return [b"||".join(b'{"n":%d}' % (3 * n + i) for i in range(3)) for n in at]


def put(daemon, half):
    client = daemon.firehose()
    for name in SPEC:
        answer = client.put_record_batch(DeliveryStreamName=name, Records=[{"Data": r} for r in records(name, half)])
        check(answer["FailedPutCount"] == 0, f"{name}: FailedPutCount is {answer['FailedPutCount']}")


def aside(store, name):
    return collections.Counter((kind, entry["rawData"]) for kind, entry in lake.failures(store, "lake", name))


def expect_aside(store, name, want):
    got = aside(store, name)
    check(got == collections.Counter(want), f"{name}: set aside {list(got.items())[:5]} instead of {want}")


def verify(store):
    messages = [json.loads(message(n)) for n in range(PAYLOADS * EVENTS)]
    got = [json.loads(x) for _, body in store.objects("lake", "logs/") for x in body.split(b"}\n") for x in ([x + b"}"] if x else [])]
    check(got == messages, f"logs: {len(got)} messages instead of {len(messages)}, or in another order")
    rows = [(lake.hive_values(key, ["customer"])["customer"], row) for key, body in store.objects("lake", "log-columns/") for row in lake.rows_of(body)]
    got = sorted(({"n": r["n"], "customer": customer, "text": r["text"]} for customer, r in rows), key=lambda m: m["n"])
    check(got == messages, f"log-columns: {len(got)} messages instead of {len(messages)}, or others")
    for name in ("logs", "log-columns"):
        expect_aside(store, name, [("decompression-failed", d) for d in DAMAGED])

    rows = [(lake.hive_values(key, ["customer"])["customer"], row) for key, body in store.objects("lake", "split/") for row in lake.rows_of(body)]
    check(all(customer == row["customer"] for customer, row in rows), "split: a record in another partition")
    check(sorted(row["n"] for _, row in rows) == list(range(3 * PAYLOADS)), f"split: {len(rows)} records, or others")
    expect_aside(store, "split", [*(("processing-failed", b) for b in SPLIT_BAD), ("metadata-extraction-failed", KEYLESS)])

    arrays = [json.loads(gzip.decompress(body)) for _, body in store.objects("lake", "array/")]
    check([x["n"] for a in arrays for x in a] == list(range(3 * PAYLOADS)), f"array: {sum(map(len, arrays))} records, or others")
    expect_aside(store, "array", [])
    print(f"{len(messages)} log events, {3 * PAYLOADS} parts, {len(arrays)} arrays; what did not fit was set aside")


with workspace("processors") as folder:
    s3 = S3(folder)
    daemon = Daemon(folder, [lake.lake_stream(name, **more) for name, more in SPEC.items()], "s3", s3)
    with running(daemon, s3):
        s3.start().make_bucket("lake")
        daemon.start()
        put(daemon, 0)
        daemon.kill()
        daemon.start()
        put(daemon, 1)
        lake.drain(daemon)
        daemon.stop()
        verify(s3)
