"""redshiftd, a stand-in for Amazon Redshift: its wire protocol and its Data API in front of a real PostgreSQL, with COPY from the real S3
store, and faults on demand. And what the cases about this destination share: numbered flights, and the counting of what was loaded."""
import collections
import concurrent.futures
import gzip
import json
import os
import subprocess
import urllib.parse
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

import flights
from harness import ACCESS_KEY, REGION, ROOT, SECRET_KEY, Process, check, free_port, tcp_open, wait_for

USER, PASSWORD, DATABASE = "loader", "loader-password", "dev"
STREAM, BUCKET = "flights", "lake"
AT_ONCE = 500  # records of a put
TABLE = "CREATE TABLE flights (n bigint, delay int, distance int, time double precision)"


class Redshift:
    """start may be called again after kill: same ports, same tables. What was not committed by then is gone, and armed faults with it."""

    def __init__(self, folder, postgres, s3):
        self.folder, self.postgres, self.s3, self.process = folder, postgres, s3, None
        self.port, self.api_port, self.control_port = free_port(), free_port(), free_port()
        self.url = f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}?sslmode=disable"
        self.api_url = f"http://127.0.0.1:{self.api_port}"

    def start(self):
        at = [x for name, port in (("listen", self.port), ("data-api", self.api_port), ("control", self.control_port))
              for x in ("-" + name, f"127.0.0.1:{port}")]
        argv = [program(), "-postgres", self.postgres.dsn, "-s3", self.s3.url, *at, "-user", USER, "-password", PASSWORD, "-database", DATABASE]
        self.process = Process("redshiftd", argv, self.folder, {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION})
        wait_for("redshiftd listens", self._up, 30, every=0.02)
        return self

    def _up(self):
        check(self.process.alive(), "redshiftd ended:\n" + self.process.log()[-2000:])
        return all(map(tcp_open, (self.port, self.api_port, self.control_port)))

    def kill(self):
        return self.process.kill()

    def _control(self, method, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.control_port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as r:
            return r.read()

    def arm(self, fault, times=1):
        """The fault comes the next times it can; redshiftd says which there are when this one is unknown."""
        self._control("POST", f"/fail?fault={urllib.parse.quote(fault)}&n={times}")

    def came(self, fault):
        return fault not in self.stats()["armed"]

    def wait_came(self, fault, seconds=30):
        wait_for(f"the fault {fault} comes", lambda: self.came(fault), seconds, every=0.02)

    def release(self):
        """Lets each COPY that hangs go on."""
        self._control("POST", "/release")

    def stats(self):
        return json.loads(self._control("GET", "/stats"))


def program():
    """Builds redshiftd once for all cases of a run."""
    path = os.path.join(os.environ["HYDRANT_E2E_TMP"], "redshiftd")
    if not os.path.exists(path):
        p = subprocess.run(["go", "build", "-o", path + ".new", "./e2e/redshiftd"], cwd=ROOT, capture_output=True, text=True, timeout=300)
        check(p.returncode == 0, "go build ./e2e/redshiftd: " + p.stderr[-3000:])
        os.rename(path + ".new", path)
    return path


def stream(reach, name=STREAM, size="1MB", interval="1s", retry="600s", table="flights", **more):
    """A stream into a table. reach: {"postgres": …} or {"data_api": …}, and what else the destination is told."""
    return {"name": name, "source": {"direct": {}}, "buffer": {"size": size, "interval": interval}, "format": "json", "compression": "gzip",
            "destination": {"redshift": {**reach, "table": table, "s3": {"bucket": BUCKET, "prefix": name + "/"}}},
            "retry": {"for": retry}, "backup": {"mode": "failed", "s3": {"bucket": BUCKET, "prefix": "failed/"}}, **more}


def delivery(daemon, name=STREAM):
    """What the daemon says of a stream's delivery: retrying, attempt, code, error…"""
    with urllib.request.urlopen(daemon.admin + "/api/streams", timeout=10) as r:
        one = next(s for s in json.load(r) if s["name"] == name)
    return next((x["delivery"] for x in one["readers"] if x["role"] == "main"), {})


def wait_logged(daemon, code, after, seconds=45):
    """Waits until an attempt failed for this reason, as the log says behind its first so many characters. A failure may be over too soon
    to be seen in the state."""
    wait_for(f"an attempt fails for {code}", lambda: f" code={code} " in daemon.process.log()[after:], seconds)


def wait_code(daemon, code, seconds=45, name=STREAM):
    """Waits until a batch is being retried for this reason; returns what is said of it."""
    return wait_for(f"a batch is retried for {code}", lambda: (d := delivery(daemon, name)).get("code") == code and d, seconds, every=0.05)


class Numbered:
    """Flights with a number each, put over the Firehose API. Of a put without an answer nobody knows whether it was taken: doubtful. It is
    never repeated, as a repetition would be other records with the same numbers."""

    def __init__(self, daemon, name=STREAM):
        self.name, self.flights, self.accepted, self.doubtful, self.next = name, flights.load(), [], [], 0
        self.client = boto3.client("firehose", endpoint_url=daemon.url, region_name=REGION, aws_access_key_id="any", aws_secret_access_key="thing",
                                   config=botocore.config.Config(retries={"total_max_attempts": 1}))

    def record(self, n):
        return b'{"n":%d,' % n + self.flights[n % flights.COUNT][1:]

    def row(self, n):
        v = json.loads(self.record(n))
        return (v["n"], v["delay"], v["distance"], float(v["time"]))

    def put(self, count):
        """False: the daemon was gone before all were accepted."""
        for at in range(0, count, AT_ONCE):
            numbers = range(self.next, self.next + min(AT_ONCE, count - at))
            self.next = numbers.stop
            try:
                answer = self.client.put_record_batch(DeliveryStreamName=self.name, Records=[{"Data": self.record(n)} for n in numbers])
            except (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError):
                self.doubtful.append(numbers)
                return False
            check(answer["FailedPutCount"] == 0, f"FailedPutCount is {answer['FailedPutCount']}")
            self.accepted.append(numbers)
        return True

    def count(self):
        return sum(map(len, self.accepted))

    def compare(self, rows):
        """Every accepted record is a row once, as it was; of a doubtful put all are, or none; nothing else is there."""
        seen = collections.Counter(r[0] for r in rows)
        twice = [n for n, k in seen.items() if k > 1]
        check(not twice, f"{len(twice)} records were loaded more than once, such as {twice[:5]}")
        lost = [n for part in self.accepted for n in part if n not in seen]
        check(not lost, f"{len(lost)} of {self.count()} accepted records are not in the table, such as {lost[:5]}")
        for part in self.doubtful:
            kept = sum(n in seen for n in part)
            check(kept in (0, len(part)), f"{kept} of the {len(part)} records of one put were loaded")
        other = [r for r in rows if not 0 <= r[0] < self.next or r != self.row(r[0])]
        check(not other, f"{len(other)} rows are not as they were sent, such as {other[:3]}")


def put_all(daemon, records, threads=4, name=STREAM):
    """Puts records by PutRecordBatch, several requests at once."""
    client = daemon.firehose(threads)

    def one(at):
        return client.put_record_batch(DeliveryStreamName=name, Records=[{"Data": r} for r in records[at:at + AT_ONCE]])["FailedPutCount"]

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        check(sum(pool.map(one, range(0, len(records), AT_ONCE))) == 0, "some records were not taken")


def batches(s3, name=STREAM):
    """{URL: (records, bytes)} of the objects of batches."""
    return {f"s3://{BUCKET}/{key}": (gzip.decompress(body).count(b"\n"), len(body)) for key, body in s3.objects(BUCKET, name + "/")
            if not key.startswith(name + "/errors/")}


def check_ledger(postgres, s3, name=STREAM, apart=()):
    """One row for each object, with its number of records; apart: URLs of objects that were not loaded. Returns how many there are."""
    rows = postgres.query("SELECT url, records FROM hydrant_loads WHERE stream = :name", name=name)
    want = {url: n for url, (n, _) in batches(s3, name).items() if url not in apart}
    check(len(rows) == len(want) and dict(rows) == want, f"{len(rows)} rows of the ledger for {len(want)} objects: {set(rows) ^ set(want.items())}")
    ids = postgres.one("SELECT COUNT(DISTINCT batch_id) FROM hydrant_loads WHERE stream = :name", name=name)
    check(ids == len(rows), f"{ids} batches in {len(rows)} rows of the ledger")
    return len(rows)


def check_manifests(s3, name=STREAM):
    """Beside each object a manifest that names it and its size, and nothing else."""
    want = {f"manifests/{url.split('/', 3)[3]}.manifest": {"entries": [{"url": url, "mandatory": True, "meta": {"content_length": size}}]}
            for url, (_, size) in batches(s3, name).items()}
    got = {key: json.loads(body) for key, body in s3.objects(BUCKET, f"manifests/{name}/")}
    other = [key for key in got.keys() | want.keys() if got.get(key) != want.get(key)]
    check(not other, f"{len(got)} manifests for {len(want)} objects; such as {other[:1]}: {[(got.get(k), want.get(k)) for k in other[:1]]}")
