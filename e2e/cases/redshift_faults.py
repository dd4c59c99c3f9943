"""Flights into a table while everything on the way fails in turn: lost answers, a COPY that hangs, conflicts, a full disk, a wrong password, the
warehouse and its database killed, the daemon killed seven times. Every accepted record is a row once."""
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import redshift
from harness import S3, Daemon, check, running, wait_for, workspace
from postgres import Postgres

SOME = 4000  # records of a step
CODES = {"cut-after-copy": "ConnectionFailed", "cut-after-commit": "ConnectionFailed", "lock-conflict": "LockConflict", "disk-full": "DiskFull",
         "hang-in-copy": "QueryCancelled", "wrong-password": "AuthenticationFailed"}


class Case:
    def __init__(self, folder):
        self.s3, self.postgres = S3(folder), Postgres(folder)
        self.warehouse = redshift.Redshift(folder, self.postgres, self.s3)
        self.secret, self.kills = os.path.join(folder, "redshift.url"), 0
        self.write_secret(self.warehouse.url)
        stream = redshift.stream({"postgres": {"url": "file:" + self.secret}, "timeout": "5s"})
        self.daemon = Daemon(folder, [stream], "s3", self.s3)
        self.source = redshift.Numbered(self.daemon)

    def write_secret(self, url):
        with open(self.secret + ".new", "w") as f:
            f.write(url + "\n")
        os.rename(self.secret + ".new", self.secret)

    def start(self):
        self.s3.start().make_bucket(redshift.BUCKET)
        self.postgres.start().query(redshift.TABLE)
        self.warehouse.start()
        self.daemon.start()

    def put(self):
        check(self.source.put(SOME), "the daemon did not answer a put")

    def hang(self):
        """Puts some, of which a batch is loaded, but not committed, when this returns; until release."""
        self.warehouse.arm("hang-in-copy")
        self.put()
        self.warehouse.wait_came("hang-in-copy")

    def kill(self):
        self.daemon.kill()
        self.kills += 1

    def faults(self):
        """Each fault meets a batch, is told with its reason, and passes."""
        for fault, code in CODES.items():
            before = len(self.daemon.process.log())
            self.warehouse.arm(fault)
            self.put()
            self.warehouse.wait_came(fault)
            redshift.wait_logged(self.daemon, "Redshift." + code, before)
            lake.drain(self.daemon)

    def password(self):
        self.write_secret(self.warehouse.url.replace(redshift.PASSWORD, "another-password"))
        self.put()
        told = redshift.wait_code(self.daemon, "Redshift.AuthenticationFailed")
        check("another-password" not in told["error"], f"the password is told: {told}")
        self.write_secret(self.warehouse.url)
        lake.drain(self.daemon)

    def warehouse_killed(self):
        self.hang()
        self.warehouse.kill()
        redshift.wait_code(self.daemon, "Redshift.ConnectionFailed")
        self.put()
        self.warehouse.start()
        lake.drain(self.daemon)

    def postgres_killed(self):
        self.hang()
        self.postgres.kill()
        self.warehouse.release()
        wait_for("the batch is retried", lambda: redshift.delivery(self.daemon).get("retrying"), 30, every=0.02)
        self.put()
        self.postgres.start()
        lake.drain(self.daemon)

    def killed_in_copy(self):
        self.hang()
        self.kill()
        self.warehouse.release()
        self.daemon.start()

    def killed_without_the_answer(self):
        self.warehouse.arm("cut-after-commit")
        self.put()
        self.warehouse.wait_came("cut-after-commit")
        self.kill()
        self.daemon.start()

    def killed_in_puts(self):
        enough = self.source.count() + 2 * SOME
        puts = threading.Thread(target=lambda: self.source.put(1 << 30))
        puts.start()
        wait_for("some puts are accepted", lambda: self.source.count() >= enough, 30, every=0.005)
        self.kill()
        puts.join()
        self.daemon.start()

    def killed_at_a_load(self):
        """The moment is somewhere between the rows and the note that they were loaded."""
        copies = self.warehouse.stats()["copies"]
        self.put()
        wait_for("a batch is copied", lambda: self.warehouse.stats()["copies"] > copies, 30, every=0.001)
        self.kill()
        self.daemon.start()

    def killed_while_nobody_is_there(self):
        self.put()
        self.warehouse.kill()
        self.kill()
        self.daemon.start()
        self.put()
        self.kill()
        self.daemon.start()
        redshift.wait_code(self.daemon, "Redshift.ConnectionFailed")
        self.warehouse.start()

    def run(self):
        self.start()
        for step in (self.faults, self.password, self.warehouse_killed, self.postgres_killed, self.killed_in_copy, self.killed_without_the_answer,
                     self.killed_in_puts, self.killed_at_a_load, self.killed_at_a_load, self.killed_while_nobody_is_there):
            step()
        self.put()
        lake.drain(self.daemon)
        self.daemon.stop()

    def verify(self):
        rows = self.postgres.query("SELECT n, delay, distance, time FROM flights")
        self.source.compare(rows)
        redshift.check_manifests(self.s3)
        loads = redshift.check_ledger(self.postgres, self.s3)
        log = self.daemon.process.log()
        check("another-password" not in log and redshift.PASSWORD not in log, "the log holds a password")
        print(f"{self.source.count()} records accepted, {len(rows)} rows in {loads} batches; "
              f"{self.kills} kills, {sum(map(len, self.source.doubtful))} records without an answer")


with workspace("redshift-faults") as folder:
    case = Case(folder)
    with running(case.daemon, case.warehouse, case.postgres, case.s3):
        case.run()
        case.verify()
