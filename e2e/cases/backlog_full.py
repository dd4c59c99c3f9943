"""S3 is down, the backlog fills: puts are refused with a hint when to come back, nothing is lost, and service resumes by itself."""
import os
import sys
import time
import base64

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import decode
from harness import S3, Daemon, check, running, s3_stream, wait_for, workspace


def chunk(n):
    """100 unique lines of about 2 kB."""
    return [f"chunk {n:04d} line {i:02d} ".encode() + os.urandom(1000).hex().encode() for i in range(100)]


def put(daemon, way, lines):
    if way == "v1":
        return daemon.v1("small", b"\n".join(lines))
    return daemon.api("PutRecordBatch", {"DeliveryStreamName": "small",
                                         "Records": [{"Data": base64.b64encode(x).decode()} for x in lines]})


def fill(daemon, accepted):
    """Puts until both ways were refused."""
    refused = {}
    for n in range(200):
        way = "v1" if n % 2 else "api"
        lines = chunk(n)
        status, headers, answer = put(daemon, way, lines)
        if status == 200:
            check(not refused, "a put was accepted after one was refused, with S3 still down")
            accepted += lines
            continue
        check(status == 503, f"{way} answered {status} {answer}")
        refused[way] = (headers, answer)
        if len(refused) == 2:
            return refused
    raise AssertionError("40 MB were accepted into a backlog of 4 MB")


with workspace("backlog") as folder:
    s3 = S3(folder)
    s3.start().make_bucket("lake")
    s3.stop()
    other = s3_stream("other", "lake", buffer={"interval": "1s"})
    daemon = Daemon(folder, [s3_stream("small", "lake", interval="1s", format="json", buffer={"max_backlog": "4MB"}), other], "s3", s3)
    with running(daemon, s3):
        daemon.start()
        accepted = []
        refused = fill(daemon, accepted)
        headers, answer = refused["api"]
        check(answer["__type"] == "ServiceUnavailableException", f"the API answered {answer}")
        check(int(headers["x-amz-retry-after"]) > 0, "x-amz-retry-after is missing")
        headers, answer = refused["v1"]
        check(int(headers["Retry-After"]) > 0, "Retry-After is missing")
        check(answer["error"]["type"] and answer["error"]["message"], f"/v1 answered {answer}")
        check(daemon.v1("other", b"still served\n")[0] == 200, "one full stream stops another")
        check(len(accepted) * 2000 >= 1 << 20, f"only {len(accepted)} records fit into 4 MB")

        s3.start()
        late, t0 = chunk(9999), time.monotonic()
        wait_for("puts are accepted again", lambda: put(daemon, "api", late)[0] == 200, 90, every=0.5)
        print(f"{len(accepted)} records waited; puts resumed {time.monotonic() - t0:.1f} s after S3")
        accepted += late
        wait_for("everything is delivered",
                 lambda: len(decode.lines(s3.objects("lake", "small/"), "none")) >= len(accepted), 90, every=1)
        daemon.stop()
        got = decode.lines(s3.objects("lake", "small/"), "none")
        check(sorted(got) == sorted(accepted), f"{len(accepted)} accepted, {len(got)} delivered")
        check(got == accepted, "the order changed")
