"""The strict doubles of a Firehose HTTP endpoint and of Splunk's HTTP Event Collector, as a process of their own, with faults on demand."""
import fcntl
import json
import os
import subprocess
import urllib.parse
import urllib.request

from harness import ROOT, Process, check, free_port, tcp_open, wait_for


def binary():
    """Builds the program once for all cases of a run."""
    path = os.path.join(os.environ["HYDRANT_E2E_TMP"], "doubles")
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            p = subprocess.run(["go", "build", "-o", path + ".new", "./e2e/doubles"], cwd=ROOT, capture_output=True, text=True, timeout=300)
            check(p.returncode == 0, "go build ./e2e/doubles: " + p.stderr[-3000:])
            os.rename(path + ".new", path)
    return path


class Doubles:
    def __init__(self, folder, **flags):
        self.folder, self.process = folder, None
        self.port, self.hec_port, self.control_port = free_port(), free_port(), free_port()
        self.url, self.hec = f"http://127.0.0.1:{self.port}/", f"http://127.0.0.1:{self.hec_port}"
        self.argv = [binary(), "-endpoint", f"127.0.0.1:{self.port}", "-hec", f"127.0.0.1:{self.hec_port}", "-control", f"127.0.0.1:{self.control_port}"]
        self.argv += [f"-{k.replace('_', '-')}={v}" for k, v in flags.items()]

    def start(self):
        self.process = Process("doubles", self.argv, self.folder)
        wait_for("the doubles listen", lambda: all(map(tcp_open, (self.port, self.hec_port, self.control_port))), 10)
        return self

    def ask(self, path, data=None):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control_port}{path}", data=data, timeout=60) as r:
            return r.read()

    def fail(self, kind, **more):
        """The next n requests to the endpoint meet a fault."""
        self.ask("/fail?" + urllib.parse.urlencode({"kind": kind, **more}), b"")

    def next(self, kind, **more):
        """The next request to the collector meets a fault."""
        self.ask("/next?" + urllib.parse.urlencode({"kind": kind, **more}), b"")

    def acks(self, mode):
        self.ask("/acks?mode=" + mode, b"")

    def stats(self):
        return json.loads(self.ask("/stats"))

    def received(self):
        return self.ask("/received").splitlines()

    def events(self):
        return self.ask("/events").splitlines()
