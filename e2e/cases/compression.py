"""One stream for each codec, read back with readers that are not ours."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import decode
import flights
from harness import S3, Daemon, check, running, s3_stream, wait_for, workspace

records = flights.load(2000)
with workspace("compression") as folder:
    s3 = S3(folder)
    daemon = Daemon(folder, [s3_stream("c-" + c, "lake", interval="1s", format="json", compression=c) for c in decode.READERS],
                    "s3", s3)
    with running(daemon, s3):
        s3.start().make_bucket("lake")
        daemon.start()
        for codec in decode.READERS:
            status, _, answer = daemon.v1("c-" + codec, b"\n".join(records))
            check(status == 200 and answer["accepted"] == len(records), f"{codec}: {status} {answer}")
        for codec in decode.READERS:
            objects = wait_for(f"{codec} is delivered", lambda: s3.objects("lake", f"c-{codec}/"), 60, every=0.5)
            check(decode.lines(objects, codec) == records, f"{codec}: other records came out")
            for key, _ in objects:
                base = key.rsplit("/", 1)[1]
                check(base.endswith(decode.EXTENSIONS[codec]) and (codec != "none" or "." not in base), f"{codec}: key {key}")
            print(codec, sum(len(b) for _, b in objects), "bytes")
        daemon.stop()
