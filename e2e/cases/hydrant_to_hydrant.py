"""A sidecar delivers to a central daemon over the HTTP protocol, with a network that loses answers and cuts connections, and both sides killed:
every record is in the central's objects once, in order."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import search
from faultproxy import FaultProxy
from harness import S3, Daemon, check, running, s3_stream, wait_for, workspace
from http_endpoint_stream import http_stream

SOME = 60_000


def main():
    with workspace("hydrant-to-hydrant") as folder:
        for name in ("central", "sidecar"):
            os.makedirs(os.path.join(folder, name))
        s3 = S3(folder)
        central = Daemon(os.path.join(folder, "central"), [s3_stream("logs", "lake", format="json")], "s3", s3,
                         auth={"tokens": [{"token": "between-us", "allow": [{"actions": ["firehose:PutRecordBatch"], "streams": ["logs"]}]}]})
        proxy = FaultProxy(central.port).start()
        sidecar = Daemon(os.path.join(folder, "sidecar"), [http_stream("logs", proxy.url + "/v1/firehose/logs", {"access_key": "between-us", "content_encoding": "gzip", "timeout": "3s"})], "file")
        with running(sidecar, central, s3):
            s3.start().make_bucket("lake")
            central.start()
            sidecar.start()
            source = search.Numbered(sidecar, "logs", limit=SOME)
            sending = source.in_background()
            for n, fault in enumerate(({"cut_down": 0, "times": 1}, {"latency": 0.2}, {"reset": True}, {"cut_down": 10, "times": 2}, {"half_open": True}, {"cut_up": 1000, "times": 2}) * 2):
                proxy.set(**fault)
                wait_for("some time passes", lambda left=[4]: left.append(left.pop() - 1) or left[0] < 0, 30, every=0.25)
                victim = (central, sidecar)[n % 2]
                victim.kill()
                victim.start()
                proxy.heal()
            sending.join()
            lake.drain(sidecar, 120)
            lake.drain(central, 60)
            sidecar.stop()
            central.stop()
            lines = [x for _, b in s3.objects("lake") for x in b.splitlines()]
            got = [json.loads(x)["n"] for x in lines]
            check(sorted(got) == list(range(SOME)), f"{len(got)} records, {len(set(got))} different ones, of {SOME}")
            check(got == sorted(got), "the order is lost")
            print(f"{SOME} records over 12 faults and 12 kills, once and in order")
        proxy.stop()


main()
