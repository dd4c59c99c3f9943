"""Flights into a table through the Redshift Data API: answers to submissions are lost, a statement fails after its commit, and a COPY still runs when
the daemon has lost sight of it, stopped or was killed. The next attempt waits for it, finds the batch in the ledger, and every row is there once."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import redshift
from faultproxy import FaultProxy
from harness import S3, Daemon, check, running, wait_for, workspace
from postgres import Postgres

SOME = 4000  # records of a step
WAITING = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND relation = 'hydrant_loads'::regclass"


class Case:
    def __init__(self, folder):
        self.s3, self.postgres = S3(folder), Postgres(folder)
        self.warehouse = redshift.Redshift(folder, self.postgres, self.s3)
        self.proxy = FaultProxy(self.warehouse.api_port)
        api = {"cluster": "warehouse", "database": redshift.DATABASE, "db_user": redshift.USER, "endpoint": self.proxy.url}
        self.daemon = Daemon(folder, [redshift.stream({"data_api": api, "timeout": "60s"})], "s3", self.s3, shutdown_timeout="2s")
        self.source = redshift.Numbered(self.daemon)

    def start(self):
        self.s3.start().make_bucket(redshift.BUCKET)
        self.postgres.start().query(redshift.TABLE)
        self.warehouse.start()
        self.proxy.start()
        self.daemon.start()

    def put(self):
        check(self.source.put(SOME), "the daemon did not answer a put")

    def meet(self, fault):
        """A batch meets the fault."""
        self.warehouse.arm(fault)
        self.put()
        self.warehouse.wait_came(fault)

    def copies(self):
        return self.warehouse.stats()["copies"]

    def once(self, step, *args):
        """A step after which no batch was copied more than once although it was tried more than once."""
        batches, copies = len(redshift.batches(self.s3)), self.copies()
        step(*args)
        lake.drain(self.daemon)
        batches, copies = len(redshift.batches(self.s3)) - batches, self.copies() - copies
        check(copies == batches > 0, f"{step.__name__}{args}: {copies} loads of {batches} batches")

    def refused(self):
        """Faults that leave nothing behind."""
        for fault in ("throttled", "lock-conflict", "disk-full"):
            self.meet(fault)
            lake.drain(self.daemon)

    def unknown(self, fault):
        self.meet(fault)
        wait_for("the batch is retried", lambda: redshift.delivery(self.daemon).get("retrying"), 30, every=0.02)

    def killed(self, fault):
        self.meet(fault)
        self.daemon.kill()
        self.daemon.start()

    def waits(self):
        """The attempt that comes next waits for the one that still runs."""
        wait_for("the next attempt waits for the ledger", lambda: self.postgres.one(WAITING) > 0, 30)
        self.warehouse.release()

    def out_of_sight(self):
        """The COPY runs, and nobody can be asked about it, until the daemon takes it for lost."""
        self.meet("hang-in-copy")
        self.proxy.set(refuse=True)
        redshift.wait_code(self.daemon, "Redshift.ConnectionFailed", 60)
        self.proxy.heal()
        self.waits()

    def killed_in_copy(self):
        self.killed("hang-in-copy")
        self.waits()

    def stopped_in_copy(self):
        """The warehouse was asked to end the statement, and did not."""
        self.warehouse.arm("ignore-cancel")
        self.meet("hang-in-copy")
        self.daemon.stop()
        check(self.warehouse.came("ignore-cancel"), "the statement was not cancelled")
        self.daemon.start()
        self.waits()

    def cancelled_in_copy(self):
        """The warehouse ended the statement when it was asked to: the batch is loaded by the next life."""
        self.meet("hang-in-copy")
        self.daemon.stop()
        self.daemon.start()
        lake.drain(self.daemon)

    def run(self):
        self.start()
        self.refused()
        for fault in ("submit-not-answered", "fail-after-commit"):
            self.once(self.unknown, fault)
            self.once(self.killed, fault)
        for step in (self.killed_in_copy, self.stopped_in_copy, self.out_of_sight):
            self.once(step)
        self.cancelled_in_copy()
        self.once(self.put)
        self.daemon.stop()

    def verify(self):
        rows = self.postgres.query("SELECT n, delay, distance, time FROM flights")
        self.source.compare(rows)
        redshift.check_manifests(self.s3)
        loads, stats = redshift.check_ledger(self.postgres, self.s3), self.warehouse.stats()
        print(f"{self.source.count()} records accepted, {len(rows)} rows in {loads} batches, by {stats['submits']} submissions and {stats['copies']} loads")


with workspace("redshift-data-api") as folder:
    case = Case(folder)
    with running(case.daemon, case.warehouse, case.postgres, case.s3):
        case.run()
        case.verify()
