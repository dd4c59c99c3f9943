"""The main job: 231,083 flight records in, compressed objects out, every record once, in the order of its producer.

main_job.py api|http s3|file
"""
import gzip
import http.client
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import decode
import flights
from harness import S3, Daemon, FileStore, check, running, s3_stream, wait_for, workspace

PRODUCERS = 4


def send_api(daemon, stream, records):
    client = daemon.firehose()
    for at in range(0, len(records), 500):
        answer = client.put_record_batch(DeliveryStreamName=stream, Records=[{"Data": r} for r in records[at:at + 500]])
        check(answer["FailedPutCount"] == 0, f"FailedPutCount is {answer['FailedPutCount']}")
        ids = {e["RecordId"] for e in answer["RequestResponses"]}
        check(len(ids) == len(records[at:at + 500]), "record ids are missing or repeat within one answer")


def send_http(daemon, stream, records):
    """Every second body is gzipped; one connection is kept for all of them."""
    c = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    for n, at in enumerate(range(0, len(records), 2000)):
        part = records[at:at + 2000]
        body, headers = b"\n".join(part) + b"\n", {"Content-Type": "application/x-ndjson"}
        if n % 2:
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        c.request("POST", f"/v1/streams/{stream}/records", body, headers)
        r = c.getresponse()
        answer = r.read()
        check(r.status == 200, f"/v1 answered {r.status}: {answer[:300]}")
        check(f'"accepted":{len(part)}'.encode() in answer.replace(b" ", b""), f"/v1 answered {answer[:300]}")
    c.close()


def in_threads(send, daemon, stream, lists):
    errors = []

    def work(part):
        try:
            send(daemon, stream, part)
        except Exception as e:  # reported by the parent
            errors.append(e)

    threads = [threading.Thread(target=work, args=(p,)) for p in lists]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def main(way, kind):
    lists = flights.split(flights.load(), PRODUCERS)
    total = sum(map(len, lists))
    with workspace(f"flights-{way}-{kind}") as folder:
        s3 = S3(folder)
        stream = s3_stream("flights", "lake", size="1MB", interval="3s", format="json", compression="gzip")
        if kind == "s3":
            s3.start().make_bucket("lake")
            daemon, store = Daemon(folder, [stream], "s3", s3), s3
        else:
            daemon = Daemon(folder, [stream], "file")
            store = FileStore(daemon.data_dir)
        with running(daemon, s3):
            daemon.start()
            in_threads({"api": send_api, "http": send_http}[way], daemon, "flights", lists)
            seen = {}
            wait_for(f"{total} records are delivered",
                     lambda: len(decode.lines(store.objects("lake", seen=seen), "gzip")) >= total, 120, every=1)
            daemon.stop()
            objects = store.objects("lake")
            check(all(k.startswith("flights/") and k.endswith(".gz") for k, _ in objects), f"unexpected keys: {objects[0][0]}")
            check(len(objects) > 3, f"only {len(objects)} objects from 1 MB buffers")
            flights.compare(lists, decode.lines(objects, "gzip"))
            print(f"{total} records in {len(objects)} objects")


main(*sys.argv[1:])
