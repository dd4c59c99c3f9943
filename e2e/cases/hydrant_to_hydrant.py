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
from parts import Parts, retries

EACH, PARTS = 5_000, 12
SOME = EACH * PARTS
FAULTS = [{"cut_down": 0, "times": 1}, {"latency": 0.3}, {"reset": True}, {"cut_down": 10, "times": 1}, {"half_open": True}, {"cut_up": 1000, "times": 1}]


def met(proxy, sidecar, fault):
    """Waits until a request has run into the fault."""
    if "times" in fault:
        cuts = proxy.cuts
        proxy.set(**fault)
        return lambda: proxy.cuts > cuts
    before, handed = retries(sidecar, "logs"), proxy.bytes["up"]
    proxy.set(**fault)
    if "latency" in fault:
        return lambda: proxy.bytes["up"] > handed + 1000
    return lambda: retries(sidecar, "logs") > before


def main():
    with workspace("hydrant-to-hydrant") as folder:
        for name in ("central", "sidecar"):
            os.makedirs(os.path.join(folder, name))
        s3 = S3(folder)
        central = Daemon(os.path.join(folder, "central"), [s3_stream("logs", "lake", format="json")], "s3", s3,
                         auth={"tokens": [{"token": "between-us", "allow": [{"actions": ["firehose:PutRecordBatch"], "streams": ["logs"]}]}]})
        proxy = FaultProxy(central.port).start()
        to = {"access_key": "between-us", "content_encoding": "gzip", "timeout": "3s"}
        sidecar = Daemon(os.path.join(folder, "sidecar"), [http_stream("logs", proxy.url + "/v1/firehose/logs", to)], "file")
        with running(sidecar, central, s3):
            s3.start().make_bucket("lake")
            central.start()
            sidecar.start()
            source = search.Numbered(sidecar, "logs", limit=SOME)
            parts = Parts(source, EACH)
            for n, fault in enumerate(FAULTS * 2):
                seen = met(proxy, sidecar, fault)
                sending = parts.send(n)
                wait_for(f"{fault} was met", seen, 30, every=0.02)
                victim = (central, sidecar)[(n + n // len(FAULTS)) % 2]  # each of them once in each fault
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
            check("between-us" not in sidecar.process.log() + central.process.log(), "the access key stands in a log")
            print(f"{SOME} records over {PARTS} faults and {PARTS} kills, {proxy.cuts} lost answers or requests among them: once and in order")
        proxy.stop()


main()
