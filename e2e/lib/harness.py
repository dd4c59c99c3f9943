"""The real binary and the real components, started and stopped for one case.

Everything binds the loopback address on a free port, lives in a folder of its own and ends with this process.
"""
import contextlib
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import boto3
import botocore.config
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.environ["HYDRANT_E2E_CACHE"]
BINARY = os.environ.get("HYDRANT_BIN", os.path.join(ROOT, "bin", "hydrant"))
ACCESS_KEY, SECRET_KEY, REGION = "AKIDEXAMPLE", "secretsecret", "us-east-1"
MB = 1 << 20


class Failed(Exception):
    """What the case was to show does not hold."""


def check(ok, message):
    if not ok:
        raise Failed(message)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, probe, seconds, every=0.1):
    """Calls probe until it returns something true, which is returned."""
    end = time.monotonic() + seconds
    while True:
        got = probe()
        if got:
            return got
        check(time.monotonic() < end, f"waited {seconds} s in vain: {what}")
        time.sleep(every)


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """One child process whose output goes to a file."""

    def __init__(self, name, argv, folder, env=None, cwd=None):
        self.name, self.log_path = name, os.path.join(folder, name + ".log")
        log = open(self.log_path, "ab")
        self.proc = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=cwd or folder,
                                     env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent)
        log.close()

    @property
    def pid(self):
        return self.proc.pid

    def alive(self):
        return self.proc.poll() is None

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def status_kb(self, field):
        """A line of /proc/PID/status in kB: VmRSS, VmHWM."""
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(rf"^{field}:\s+(\d+) kB", f.read(), re.M).group(1))

    def cpu_seconds(self):
        """User and system time so far."""
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self):
        if self.alive():
            self.proc.kill()
        return self.proc.wait()

    def stop(self, seconds=60):
        """SIGTERM; returns the exit code, fails if it does not end in time."""
        if self.alive():
            self.proc.terminate()
        try:
            return self.proc.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.name} did not stop within {seconds} s") from None


def tcp_open(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


class S3:
    """The strict S3 server; may be stopped and started again on the same port with the same objects."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        self.url = f"http://127.0.0.1:{self.port}"
        os.makedirs(os.path.join(folder, "s3posix"), exist_ok=True)

    def start(self):
        binary = os.path.join(CACHE, "bin", "s3posix")
        self.process = Process("s3posix", [binary, f"127.0.0.1:{self.port}", os.path.join(self.folder, "s3posix")], self.folder,
                               {"S3_ACCESS_KEY": ACCESS_KEY, "S3_SECRET_KEY": SECRET_KEY})
        wait_for("s3posix listens", lambda: self._up(), 30)
        return self

    def _up(self):
        check(self.process.alive(), "s3posix died:\n" + self.process.log()[-2000:])
        return tcp_open(self.port)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process = None

    def client(self):
        return boto3.client("s3", endpoint_url=self.url, region_name=REGION, aws_access_key_id=ACCESS_KEY,
                            aws_secret_access_key=SECRET_KEY,
                            config=botocore.config.Config(s3={"addressing_style": "path"}))

    def make_bucket(self, name):
        self.client().create_bucket(Bucket=name)

    def objects(self, bucket, prefix="", seen=None):
        """[(key, body)] in listing order. A dict given as seen keeps bodies between calls."""
        c, out = self.client(), []
        seen = {} if seen is None else seen
        for page in c.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for o in page.get("Contents", []):
                k = o["Key"]
                if k not in seen:
                    seen[k] = c.get_object(Bucket=bucket, Key=k)["Body"].read()
                out.append((k, seen[k]))
        return out


class FileStore:
    """Reads what the embedded store holds: data_dir/s3/BUCKET/KEY."""

    def __init__(self, data_dir):
        self.data_dir = data_dir

    def objects(self, bucket, prefix="", seen=None):
        root, out = os.path.join(self.data_dir, "s3", bucket), []
        for folder, _, names in os.walk(root):
            for n in names:
                path = os.path.join(folder, n)
                key = os.path.relpath(path, root)
                if key.startswith(prefix):
                    with open(path, "rb") as f:
                        out.append((key, f.read()))
        return sorted(out)


class Daemon:
    """`hydrant run`. start may be called again after kill or stop: same ports, same data."""

    def __init__(self, folder, streams=(), object_store="file", s3=None, **top):
        self.folder = folder
        self.data_dir = top.pop("data_dir", os.path.join(folder, "data"))
        self.port, self.admin_port = free_port(), free_port()
        self.url, self.admin = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.admin_port}"
        self.config_path = os.path.join(folder, "hydrant.yml")
        config = {"object_store": object_store, "streams": list(streams), **top}
        with open(self.config_path, "w") as f:
            yaml.safe_dump(config, f, sort_keys=False)
        self.env = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION,
                    "AWS_EC2_METADATA_DISABLED": "true", "HOME": folder}
        if s3:
            self.env["AWS_ENDPOINT_URL_S3"] = s3.url
        self.process = None

    def spawn(self):
        argv = [BINARY, "run", "--config", self.config_path, "--data-dir", self.data_dir,
                "--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin_port}"]
        self.process = Process("hydrant", argv, self.folder, self.env)
        return self.process

    def start(self, seconds=30):
        self.spawn()
        self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds):
        """Returns how long it took until /readyz was 200."""
        t0 = time.monotonic()
        wait_for("/readyz is 200", self._ready, seconds, every=0.02)
        return time.monotonic() - t0

    def _ready(self):
        check(self.process.alive(), f"hydrant ended with {self.process.proc.returncode}:\n" + self.process.log()[-4000:])
        with contextlib.suppress(OSError, http.client.HTTPException):
            with urllib.request.urlopen(self.admin + "/readyz", timeout=2) as r:
                return r.status == 200
        return False

    def stop(self, seconds=60):
        code = self.process.stop(seconds)
        check(code == 0, f"hydrant ended with {code} on SIGTERM:\n" + self.process.log()[-4000:])

    def kill(self):
        return self.process.kill()

    def metrics(self):
        """{name{labels}: value}, as /metrics prints them."""
        with urllib.request.urlopen(self.admin + "/metrics", timeout=10) as r:
            lines = r.read().decode().splitlines()
        return {k: float(v) for k, _, v in (ln.rpartition(" ") for ln in lines if ln and not ln.startswith("#"))}

    def firehose(self, threads=8):
        return boto3.client("firehose", endpoint_url=self.url, region_name=REGION, aws_access_key_id="any",
                            aws_secret_access_key="thing",
                            config=botocore.config.Config(max_pool_connections=threads, retries={"max_attempts": 1}))

    def api(self, op, body, headers=None, timeout=60):
        """One raw API call: (status, headers, parsed or raw body). A dict is sent as JSON."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self.post("/", body, {"Content-Type": "application/x-amz-json-1.1",
                                     "X-Amz-Target": "Firehose_20150804." + op, **(headers or {})}, timeout)

    def v1(self, stream, body, content_type="application/x-ndjson", headers=None, timeout=60):
        return self.post(f"/v1/streams/{stream}/records", body, {"Content-Type": content_type, **(headers or {})}, timeout)

    def post(self, path, body, headers, timeout=60):
        """(status, headers, answer). A server may answer and stop reading before it has the whole body."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            try:
                c.request("POST", path, body, headers)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the answer is there already
            r = c.getresponse()
            return r.status, r.headers, _parse(r.read())
        finally:
            c.close()


def _parse(raw):
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def s3_stream(name, bucket, size="1MB", interval="2s", prefix=None, **more):
    """One direct stream to a bucket, under a prefix of its own."""
    buffer = {"size": size, "interval": interval, **more.pop("buffer", {})}
    return {"name": name, "source": {"direct": {}}, "buffer": buffer,
            "destination": {"s3": {"bucket": bucket, "prefix": prefix or name + "/"}}, **more}


@contextlib.contextmanager
def workspace(name):
    """A folder for one case, in the cache (so on a real disk), removed at the end unless HYDRANT_E2E_KEEP is set."""
    folder = tempfile.mkdtemp(prefix=name + "-", dir=os.environ["HYDRANT_E2E_TMP"])
    try:
        yield folder
    finally:
        if not os.environ.get("HYDRANT_E2E_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(*things):
    """Stops what is given, hard, however the block ends."""
    try:
        yield things
    finally:
        for t in things:
            p = t.process
            if p:
                p.kill()
