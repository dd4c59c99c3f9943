"""`hydrant quickstart --once` on a machine that has nothing: exit 0 after the first verified delivery."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import BINARY, check, workspace

with workspace("quickstart") as folder:
    env = {"PATH": os.environ["PATH"], "HOME": folder}
    for attempt in ("first", "second"):  # the second finds the folder that the first one left
        p = subprocess.run([BINARY, "quickstart", "--once"], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
        check(p.returncode == 0, f"{attempt} run: exit {p.returncode}\n{p.stdout[-2000:]}\n{p.stderr[-2000:]}")
        for word in ("boto3", "aws firehose", "curl"):
            check(word in p.stdout, f"{attempt} run: the output does not show {word}")
    stored = [os.path.join(d, n) for d, _, names in os.walk(os.path.join(folder, "hydrant-data", "s3")) for n in names]
    check(len(stored) >= 2, f"objects on disk: {stored}")
    check(all(os.path.getsize(p) for p in stored), "an object is empty")
