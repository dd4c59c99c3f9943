"""PostgreSQL on a data folder of its own. As root it runs as another user, because it refuses to run as root."""
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile

import pg8000.native

from harness import CACHE, Failed, Process, check, free_port, wait_for

USER, PASSWORD, DATABASE = "test", "test-password", "test"
AS_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
CONFIG = {"listen_addresses": "127.0.0.1", "fsync": "off", "full_page_writes": "off", "max_connections": "100"}


class Server(Process):
    """kill is an immediate shutdown: nothing is flushed, the next start recovers as after a crash. SIGKILL of the parent process
    would leave its children and a segment of shared memory behind."""

    def kill(self):
        if self.alive():
            self.proc.send_signal(signal.SIGQUIT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.proc.wait(10)
        return super().kill()


class Postgres:
    """User, password and database are test, test-password and test. start may be called again after kill or stop: same port, same data."""

    def __init__(self, folder, more=None):
        self.folder, self.port, self.process = os.path.join(folder, "postgres"), free_port(), None
        self.dsn = f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}?sslmode=disable"
        self.bin = os.path.realpath(os.path.join(CACHE, "postgres"))
        self.config = {**CONFIG, **(more or {})}
        self.user = AS_NOBODY if os.geteuid() == 0 else []
        os.makedirs(self.folder)
        self.home = self._home()

    def _home(self):
        """Where the server's files are. A root's cache folder is closed to other users, the folder for temporary files is open."""
        if not self.user:
            return self.folder
        home = tempfile.mkdtemp(prefix="hydrant-e2e-postgres-")
        shutil.chown(home, "nobody", "nogroup")
        os.symlink(home, os.path.join(self.folder, "files"))
        if not os.environ.get("HYDRANT_E2E_KEEP"):
            self.reaper = remove_after_this_process(home)
        return home

    def start(self, seconds=60):
        data = os.path.join(self.home, "data")
        fresh = not os.path.exists(os.path.join(data, "PG_VERSION"))
        if fresh:
            self._initdb(data)
        pairs = [x for k, v in self.config.items() for x in ("-c", f"{k}={v}")]
        # Becoming another user forgets the signal that Process asked for, so setpriv asks again.
        argv = [*self.user, *(["--pdeathsig", "QUIT"] if self.user else []), os.path.join(self.bin, "postgres")]
        self.process = Server("postgres", [*argv, "-D", data, "-p", str(self.port), "-k", self.home, *pairs], self.folder, cwd=self.home)
        wait_for("PostgreSQL answers", self._ready, seconds, every=0.05)
        if fresh:
            self.query(f"CREATE DATABASE {DATABASE}", database="postgres")
        return self

    def _initdb(self, data):
        secret = os.path.join(self.home, "password")
        with open(secret, "w") as f:
            f.write(PASSWORD)
        argv = [*self.user, os.path.join(self.bin, "initdb"), "-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", secret,
                "--no-sync", "-E", "UTF8", "--locale=C"]
        p = subprocess.run(argv, cwd=self.home, capture_output=True, text=True, timeout=120)
        check(p.returncode == 0, "initdb: " + p.stderr[-3000:])

    def _ready(self):
        check(self.process.alive(), "PostgreSQL ended:\n" + self.process.log()[-3000:])
        with contextlib.suppress(pg8000.native.Error, OSError):
            return bool(self.query("SELECT 1", database="postgres"))
        return False

    def stop(self, seconds=60):
        """A fast shutdown: connections are cut, everything is written."""
        self.process.proc.send_signal(signal.SIGINT)
        return self.process.stop(seconds)

    def kill(self):
        return self.process.kill()

    def restart(self, seconds=60):
        """Ends it as a crash would and starts it again: same port, same data."""
        self.kill()
        return self.start(seconds)

    def connect(self, database=DATABASE):
        """A connection of pg8000.native; use it where a transaction or COPY must stay on one."""
        return pg8000.native.Connection(USER, "127.0.0.1", database, self.port, PASSWORD, timeout=60)

    def query(self, sql, database=DATABASE, **values):
        """All rows of a statement, as tuples; :name in it stands for the value of that name. No rows for one that has none."""
        with contextlib.closing(self.connect(database)) as c:
            try:
                return [tuple(r) for r in c.run(sql, **values) or []]
            except pg8000.native.DatabaseError as e:
                raise Failed(f"PostgreSQL: {e.args[0].get('M', e)} [{e.args[0].get('C')}]\n  in {sql[:2000]}") from e

    def one(self, sql, **values):
        """The only value of the only row."""
        rows = self.query(sql, **values)
        check(len(rows) == 1 and len(rows[0]) == 1, f"{len(rows)} rows instead of one value: {sql[:500]}")
        return rows[0][0]


def remove_after_this_process(folder):
    """Removes a folder when this process ends, however it ends: its side of the pipe closes then. Returns that side."""
    read, write = os.pipe()
    subprocess.Popen(["sh", "-c", 'cat; sleep 1; rm -rf -- "$1"', "sh", folder], stdin=read, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, start_new_session=True)
    os.close(read)
    return os.fdopen(write, "w")
