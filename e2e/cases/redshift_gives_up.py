"""The example of docs/redshift.md, run as the user that it creates: rows come in; batches that cannot be loaded end as manifests, while the stream goes on,
are told with the place of the record that does not fit and never with its content, and are loaded by hand, once, by the page's SQL."""
import json
import os
import re
import sys
import urllib.request

import boto3
import yaml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import redshift
from harness import ACCESS_KEY, REGION, ROOT, SECRET_KEY, S3, Daemon, check, running, wait_for, workspace
from postgres import Postgres

SECRET = "/run/secrets/redshift"
MARK = "nobody-may-read-this"
NAME = "visits"
LOADING = "SELECT COUNT(*) FROM pg_stat_activity WHERE usename = 'hydrant' AND state = 'idle in transaction' AND now() - xact_start > interval '6 s'"


def blocks(language):
    """The fenced blocks of the page."""
    with open(os.path.join(ROOT, "docs", "redshift.md")) as f:
        return re.findall(rf"^```{language}\n(.*?)^```", f.read(), re.M | re.S)


SETUP, BY_HAND = ([s.strip() for s in block.split(";\n") if s.strip()] for block in blocks("sql"))
CONFIG = yaml.safe_load(blocks("yaml")[0])
SAMPLE = blocks("json")[0].encode().splitlines()


def visit(n, **more):
    return json.dumps({"at": "2026-01-01 00:00:00", "path": f"/page/{n}", "status": 200 + n % 7, "seconds": n / 8, **more}).encode()


class AsHydrant:
    """The database as its user of the page sees it."""

    def __init__(self, postgres):
        password = re.search(r"PASSWORD '([^']+)'", " ".join(SETUP))[1]
        self.dsn = f"postgres://hydrant:{password}@127.0.0.1:{postgres.port}/test?sslmode=disable"


class Case:
    def __init__(self, folder):
        self.s3, self.postgres = S3(folder), Postgres(folder)
        self.warehouse = redshift.Redshift(folder, AsHydrant(self.postgres), self.s3)
        secret = os.path.join(folder, "redshift.url")
        with open(secret, "w") as f:
            f.write(self.warehouse.url + "\n")
        config = yaml.safe_load(yaml.safe_dump(CONFIG).replace(SECRET, secret))
        config["streams"][0].update(buffer={"size": "1MB", "interval": "1s"}, retry={"for": "5s"})
        self.daemon = Daemon(folder, config["streams"], config["object_store"], self.s3)
        self.rows, self.loads = {}, 0

    def start(self):
        self.s3.start().make_bucket(redshift.BUCKET)
        self.postgres.start()
        for statement in SETUP:
            self.postgres.query(statement)
        self.warehouse.start()
        self.daemon.start()

    def put(self, records, late=False):
        """late: they are not loaded by themselves."""
        lake.send(self.daemon, NAME, records)
        if not late:
            self.expect(records)
            lake.drain(self.daemon)
            self.same()

    def expect(self, records):
        self.rows.update((r["path"], (r["status"], r["seconds"])) for r in map(json.loads, records))
        self.loads += 1

    def same(self):
        got = self.postgres.query("SELECT path, status, seconds FROM visits")
        check(len(got) == len(self.rows) and {p: (s, t) for p, s, t in got} == self.rows, f"{len(got)} rows instead of {len(self.rows)}, or others")
        loads = self.postgres.one("SELECT COUNT(*) FROM hydrant_loads")
        check(loads == self.loads, f"{loads} rows in the ledger instead of {self.loads}")

    def manifests(self):
        return dict(self.s3.objects(redshift.BUCKET, NAME + "/errors/manifests/"))

    def given_up(self):
        """The next manifest: what the log and it say of the batch."""
        before = self.manifests()
        new = wait_for("a manifest is left", lambda: self.manifests().keys() - before.keys(), 30)
        check(len(new) == 1, f"several manifests: {new}")
        key = new.pop()
        lake.drain(self.daemon)
        line = [x for x in self.daemon.process.log().splitlines() if "its manifest is left" in x][-1]
        told = dict(re.findall(r"\b(load|key|code)=(\S+)", line))
        object_ = dict(self.s3.objects(redshift.BUCKET, NAME + "/"))[told["key"]]
        want = {"entries": [{"url": f"s3://{redshift.BUCKET}/{told['key']}", "mandatory": True, "meta": {"content_length": len(object_)}}]}
        check(json.loads(self.manifests()[key]) == want, f"{key} holds {self.manifests()[key]}, not {want}")
        return {"MANIFEST": key, "LOAD": told["load"], "KEY": told["key"]}, told["code"], line

    def by_hand(self, places):
        """Runs the page's SQL through the Data API; returns how that ended."""
        client = boto3.client("redshift-data", endpoint_url=self.warehouse.api_url, region_name=REGION, aws_access_key_id=ACCESS_KEY,
                              aws_secret_access_key=SECRET_KEY)
        check((BY_HAND[0], BY_HAND[-1]) == ("BEGIN", "COMMIT"), f"the page's statements are no transaction: {BY_HAND}")
        filled = [re.sub(r"(?<=['/])(MANIFEST|LOAD|KEY)(?=')", lambda m: places[m[1]], s) for s in BY_HAND[1:-1]]
        run = client.batch_execute_statement(ClusterIdentifier="c", Database=redshift.DATABASE, DbUser=redshift.USER, Sqls=filled)["Id"]
        end = wait_for("the statements end", lambda: (d := client.describe_statement(Id=run))["Status"] in ("FINISHED", "FAILED") and d, 30)
        return end["Status"], end.get("Error", "")

    def table_missing(self):
        self.postgres.query("ALTER TABLE visits RENAME TO elsewhere")
        records = [visit(n) for n in range(1000, 2000)]
        self.put(records, late=True)
        places, code, _ = self.given_up()
        check(code == "Redshift.TableNotFound", f"the batch was given up for {code}")
        self.postgres.query("ALTER TABLE elsewhere RENAME TO visits")
        self.put([visit(n) for n in range(2000, 3000)])
        check(self.by_hand(places) == ("FINISHED", ""), f"loading by hand failed: {self.by_hand(places)}")
        self.expect(records)
        self.same()
        status, error = self.by_hand(places)
        check(status == "FAILED" and "division by zero" in error, f"loading it twice: {status} {error}")
        self.same()

    def answer_too_late(self):
        """The only attempt takes longer than retries may, and its answer is lost: the ledger has the batch, no manifest is left."""
        for fault in ("hang-in-copy", "cut-after-commit"):
            self.warehouse.arm(fault)
        records = [visit(n) for n in range(5000, 6000)]
        self.put(records, late=True)
        wait_for("the attempt takes too long", lambda: self.postgres.one(LOADING) == 1, 30)
        self.warehouse.release()
        lake.drain(self.daemon)
        check(self.warehouse.came("cut-after-commit"), "the answer came")
        self.expect(records)
        self.same()
        check("its manifest is left" not in self.daemon.process.log(), "a batch was given up that is loaded")

    def bad_record(self):
        records = [visit(n) for n in range(3000, 4000)]
        records[700] = visit(3700, status=MARK)
        self.put(records, late=True)
        told = redshift.wait_code(self.daemon, "Redshift.DataLoadFailed", name=NAME)
        with urllib.request.urlopen(self.daemon.admin + "/readyz", timeout=10) as r:
            ready = r.read().decode()
        _, code, line = self.given_up()
        check(code == "Redshift.DataLoadFailed", f"the batch was given up for {code}")
        for where, text in (("/api/streams", told["error"]), ("the log", line)):
            check(re.search(r'file s3://lake/visits/\S+\.gz, line 701, column \\?"status\\?": invalid input', text), f"{where} does not say where: {text}")
        check("DataLoadFailed" in ready and "line 701" in ready, f"/readyz does not say why: {ready}")
        check(MARK not in self.daemon.process.log() + ready + json.dumps(told), "the record is told")
        self.put([visit(n) for n in range(4000, 5000)])


with workspace("redshift-gives-up") as folder:
    case = Case(folder)
    with running(case.daemon, case.warehouse, case.postgres, case.s3):
        case.start()
        case.put(SAMPLE)
        case.answer_too_late()
        case.table_missing()
        case.bad_record()
        case.daemon.stop()
        case.same()
        check(len(case.manifests()) == 2, f"{len(case.manifests())} manifests are left")
        print(f"{len(case.rows)} rows in {case.loads} batches, one of them loaded by hand; {len(case.manifests())} manifests were left")
