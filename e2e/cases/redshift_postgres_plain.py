"""Flights straight into PostgreSQL, no stand-in between. The daemon is killed while it inserts, while PostgreSQL commits what it will never hear of, in
puts and at its start; answers get lost, PostgreSQL is killed. Every accepted record is a row once."""
import contextlib
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lake
import redshift
from faultproxy import FaultProxy
from harness import S3, Daemon, check, running, wait_for, workspace
from postgres import DATABASE, Postgres

SOME = 4000  # records of a step
GATE = 7  # of advisory locks: whoever holds it keeps the daemon from a step
WAITING = f"SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND objid = {GATE}"
SETUP = [
    redshift.TABLE,
    "CREATE TABLE gates (at text)",  # where the gate stands now
    f"""CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        IF EXISTS (SELECT 1 FROM gates WHERE at = TG_TABLE_NAME) THEN PERFORM pg_advisory_xact_lock({GATE}); END IF; RETURN NULL; END $$""",
    "CREATE TRIGGER gate AFTER INSERT ON flights FOR EACH STATEMENT EXECUTE FUNCTION wait_at_gate()",
    "CREATE TABLE hydrant_loads (loaded_at TIMESTAMP NOT NULL, stream VARCHAR(256) NOT NULL, batch_id VARCHAR(256) NOT NULL, "
    "url VARCHAR(2048) NOT NULL, records BIGINT NOT NULL)",
    # Deferred: it waits within COMMIT.
    "CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON hydrant_loads DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_at_gate()",
    "CREATE ROLE hydrant LOGIN PASSWORD 'hydrant-password'",
    "GRANT INSERT ON flights TO hydrant",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON hydrant_loads TO hydrant",
]
IN_INSERT, IN_COMMIT = "flights", "hydrant_loads"


class Case:
    def __init__(self, folder):
        self.s3, self.postgres, self.kills = S3(folder), Postgres(folder), 0
        self.proxy = FaultProxy(self.postgres.port)
        url = f"postgres://hydrant:hydrant-password@127.0.0.1:{self.proxy.port}/{DATABASE}?sslmode=disable"
        self.daemon = Daemon(folder, [redshift.stream({"postgres": {"url": url, "plain": True}, "timeout": "20s"})], "s3", self.s3)
        self.source = redshift.Numbered(self.daemon)

    def start(self):
        self.s3.start().make_bucket(redshift.BUCKET)
        self.postgres.start()
        for statement in SETUP:
            self.postgres.query(statement)
        self.proxy.start()
        self.daemon.start()

    def put(self):
        check(self.source.put(SOME), "the daemon did not answer a put")

    def kill(self):
        self.daemon.kill()
        self.kills += 1

    def put_up_to(self, gate):
        """Puts a batch, which stands at this gate when it returns. The connection that is returned holds the gate."""
        self.postgres.query("INSERT INTO gates VALUES (:gate)", gate=gate)
        c = self.postgres.connect()
        c.run(f"SELECT pg_advisory_lock({GATE})")
        self.put()
        wait_for(f"a batch stands at {gate}", lambda: self.postgres.one(WAITING) > 0, 30)
        return c

    @contextlib.contextmanager
    def stopped_at(self, gate):
        """A batch stands at this gate; it goes on at the end of the block."""
        with contextlib.closing(self.put_up_to(gate)):
            yield
            self.postgres.query("DELETE FROM gates")

    def ledger(self):
        return self.postgres.one("SELECT COUNT(*) FROM hydrant_loads")

    def killed_in_insert(self):
        """What it inserted is undone, as nobody commits it."""
        before = self.ledger()
        with self.stopped_at(IN_INSERT):
            self.kill()
        wait_for("its connection is gone", lambda: self.postgres.one("SELECT COUNT(*) FROM pg_stat_activity WHERE usename = 'hydrant'") == 0, 30)
        check(self.ledger() == before, "a batch was committed by nobody")
        self.daemon.start()
        lake.drain(self.daemon)

    def killed_in_commit(self):
        """The batch is committed after the death of who asked for it; the next life waits for that."""
        before = self.ledger()
        with self.stopped_at(IN_COMMIT):
            self.kill()
            self.daemon.start()
            wait_for("the next life waits for the ledger", lambda: self.postgres.one(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE usename = 'hydrant' AND wait_event = 'relation'") > 0, 30)
        lake.drain(self.daemon)
        check(self.ledger() == before + 1, f"{self.ledger() - before} rows of the ledger for one batch")

    def lost(self, gate):
        """The answer is lost on the way, to what is done and to what is undone for it."""
        with self.stopped_at(gate):
            self.proxy.set(cut_down=0, times=1)
        lake.drain(self.daemon)
        check(self.proxy.cuts > 0, "no answer was lost")
        self.proxy.heal()

    def killed_in_puts(self):
        enough = self.source.count() + 2 * SOME
        puts = threading.Thread(target=lambda: self.source.put(1 << 30))
        puts.start()
        wait_for("some puts are accepted", lambda: self.source.count() >= enough, 30, every=0.005)
        self.kill()
        puts.join()
        self.daemon.start()

    def killed_at_a_load(self):
        before = self.ledger()
        self.put()
        wait_for("a batch is loaded", lambda: self.ledger() > before, 30, every=0.001)
        self.kill()
        self.daemon.start()

    def postgres_killed(self):
        self.put_up_to(IN_INSERT)
        self.postgres.kill()
        redshift.wait_code(self.daemon, "Redshift.ConnectionFailed")
        self.put()
        self.kill()
        self.daemon.start()
        self.postgres.start()
        self.postgres.query("DELETE FROM gates")
        lake.drain(self.daemon)

    def run(self):
        self.start()
        self.put()
        for step in (self.killed_in_insert, self.killed_in_commit, self.killed_in_puts, self.killed_at_a_load, self.killed_at_a_load, self.killed_in_commit):
            step()
        self.lost(IN_INSERT)
        self.lost(IN_COMMIT)
        self.postgres_killed()
        self.put()
        lake.drain(self.daemon)
        self.daemon.stop()

    def verify(self):
        rows = self.postgres.query("SELECT n, delay, distance, time FROM flights")
        self.source.compare(rows)
        loads = redshift.check_ledger(self.postgres, self.s3)
        check("hydrant-password" not in self.daemon.process.log(), "the log holds the password")
        print(f"{self.source.count()} records accepted, {len(rows)} rows in {loads} batches; {self.kills} kills, {self.proxy.cuts} answers lost, "
              f"{sum(map(len, self.source.doubtful))} records without an answer")


with workspace("postgres-plain") as folder:
    case = Case(folder)
    with running(case.daemon, case.postgres, case.s3):
        case.run()
        case.verify()
