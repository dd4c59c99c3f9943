"""The aws command line, unchanged: create, describe, list, put, delete."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import CACHE, REGION, S3, Daemon, check, running, wait_for, workspace


def aws(daemon, *args, fails_with=None):
    env = {**os.environ, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "thing", "AWS_REGION": REGION,
           "AWS_DEFAULT_REGION": REGION, "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": "", "HOME": daemon.folder}
    argv = [os.path.join(CACHE, "py", "bin", "python"), "-m", "awscli", "--endpoint-url", daemon.url, "--output", "json", "firehose", *args]
    p = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120)
    if fails_with:
        check(p.returncode != 0 and fails_with in p.stderr, f"aws {args[0]}: expected {fails_with}, got {p.returncode} {p.stderr}")
        return None
    check(p.returncode == 0, f"aws {args[0]} failed: {p.stderr}")
    return json.loads(p.stdout) if p.stdout.strip() else {}


with workspace("cli") as folder:
    s3 = S3(folder)
    daemon = Daemon(folder, [], "s3", s3)
    with running(daemon, s3):
        s3.start().make_bucket("lake")
        daemon.start()
        destination = {"RoleARN": "arn:aws:iam::000000000000:role/firehose", "BucketARN": "arn:aws:s3:::lake", "Prefix": "cli/",
                       "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60}, "CompressionFormat": "UNCOMPRESSED"}
        made = aws(daemon, "create-delivery-stream", "--delivery-stream-name", "cli", "--delivery-stream-type", "DirectPut",
                   "--extended-s3-destination-configuration", json.dumps(destination))
        check(made["DeliveryStreamARN"].endswith(":deliverystream/cli"), f"create answered {made}")
        aws(daemon, "create-delivery-stream", "--delivery-stream-name", "cli", "--extended-s3-destination-configuration",
            json.dumps(destination), fails_with="ResourceInUseException")

        def describe():
            return aws(daemon, "describe-delivery-stream", "--delivery-stream-name", "cli")["DeliveryStreamDescription"]

        wait_for("the stream is ACTIVE", lambda: describe()["DeliveryStreamStatus"] == "ACTIVE", 60, every=0.5)
        got = describe()["Destinations"][0]["ExtendedS3DestinationDescription"]
        check(got["BucketARN"] == destination["BucketARN"] and got["Prefix"] == "cli/"
              and got["BufferingHints"] == destination["BufferingHints"], f"describe answered {got}")
        listed = aws(daemon, "list-delivery-streams")
        check(listed["DeliveryStreamNames"] == ["cli"] and listed["HasMoreDeliveryStreams"] is False, f"list answered {listed}")
        for text in ("one\n", "two\n"):
            put = aws(daemon, "put-record", "--delivery-stream-name", "cli", "--record", json.dumps({"Data": text}))
            check(put["RecordId"], f"put answered {put}")
        aws(daemon, "put-record", "--delivery-stream-name", "nobody", "--record", '{"Data":"x"}',
            fails_with="ResourceNotFoundException")

        # A stream made by the API is there after the process was killed, and deleting it delivers what it holds.
        daemon.kill()
        daemon.start()
        check(describe()["DeliveryStreamStatus"] == "ACTIVE", "the stream is gone after a kill")
        aws(daemon, "delete-delivery-stream", "--delivery-stream-name", "cli")
        wait_for("the stream is gone", lambda: aws(daemon, "list-delivery-streams")["DeliveryStreamNames"] == [], 120, every=0.5)
        aws(daemon, "describe-delivery-stream", "--delivery-stream-name", "cli", fails_with="ResourceNotFoundException")
        bodies = b"".join(b for _, b in s3.objects("lake", "cli/"))
        check(bodies == b"one\ntwo\n", f"the bucket holds {bodies!r}")
        daemon.stop()
