"""Trino, the engine family behind Athena, with a Hive catalog over an S3 endpoint; its metastore is a folder of files."""
import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

from harness import ACCESS_KEY, CACHE, REGION, SECRET_KEY, Failed, Process, check, free_port, wait_for

JAVA_LEAST = 24
NAMES = {"boolean": "boolean", "int": "integer", "float": "real", "string": "varchar", "binary": "varbinary", "timestamp": "timestamp(3)"}

CONFIG = """coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port={port}
discovery.uri=http://127.0.0.1:{port}
node.environment=e2e
node.id=one
node.internal-address=127.0.0.1
plugin.dir={server}/plugin
catalog.config-dir={home}/etc/catalog
query.max-memory=256MB
query.max-memory-per-node=256MB
memory.heap-headroom-per-node=128MB
"""
CATALOG = """connector.name=hive
hive.metastore=file
hive.metastore.catalog.dir=local:///meta
hive.metastore.disable-location-checks=true
fs.native-local.enabled=true
local.location={home}
fs.native-s3.enabled=true
s3.endpoint={s3}
s3.region={region}
s3.path-style-access=true
s3.aws-access-key={key}
s3.aws-secret-key={secret}
hive.recursive-directories=true
"""
JVM = ["-Xmx1200m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+UnlockDiagnosticVMOptions", "--add-modules=jdk.incubator.vector",
       "--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED", "-Djdk.attach.allowAttachSelf=true", "-Dfile.encoding=UTF-8"]


def java():
    """A java that is new enough for Trino."""
    home = os.environ.get("JAVA_HOME")
    found = [os.path.join(home, "bin", "java")] if home else []
    for path in filter(None, [*found, *sorted(glob.glob("/usr/lib/jvm/*/bin/java")), shutil.which("java")]):
        with contextlib.suppress(OSError):
            text = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30).stderr
            version = re.search(r'version "(\d+)', text)
            if version and int(version.group(1)) >= JAVA_LEAST:
                return path
    raise Failed(f"no Java {JAVA_LEAST} or later; set JAVA_HOME")


def type_name(t):
    """Trino's name of a type of columns.py."""
    kind, *args = t
    if kind == "decimal":
        return f"decimal({args[0]},{args[1]})"
    if kind in ("array", "map"):
        return f"{kind}({', '.join(map(type_name, args))})"
    if kind == "struct":
        return "row(" + ", ".join(f'"{n}" {type_name(x)}' for n, x in args) + ")"
    return NAMES.get(kind, kind)


class Trino:
    def __init__(self, folder, s3_url):
        self.folder, self.port, self.process = os.path.join(folder, "trino"), free_port(), None
        server = os.path.join(CACHE, "trino")
        for sub in ("etc/catalog", "data", "meta"):
            os.makedirs(os.path.join(self.folder, sub))
        values = {"port": self.port, "server": server, "home": self.folder, "s3": s3_url, "region": REGION, "key": ACCESS_KEY, "secret": SECRET_KEY}
        for name, text in (("config.properties", CONFIG), ("catalog/lake.properties", CATALOG)):
            with open(os.path.join(self.folder, "etc", name), "w") as f:
                f.write(text.format(**values))
        self.argv = [java(), *JVM, f"-Dconfig={self.folder}/etc/config.properties", "-cp", f"{server}/lib/*", "io.trino.server.TrinoServer"]

    def start(self):
        self.process = Process("trino", self.argv, self.folder)
        wait_for("Trino is ready", self._ready, 240, every=0.5)
        wait_for("Trino runs queries", self._runs, 60, every=0.5)  # its only node joins a moment after it says that it is ready
        return self

    def _runs(self):
        with contextlib.suppress(Failed):
            return bool(self.query("SHOW SCHEMAS")) and bool(self.query("SELECT count(*) FROM system.runtime.nodes WHERE state = 'active'"))
        return False

    def _ready(self):
        check(self.process.alive(), "Trino ended:\n" + self.process.log()[-3000:])
        with contextlib.suppress(OSError, ValueError):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/info", timeout=2) as r:
                return json.load(r)["starting"] is False
        return False

    def query(self, sql, seconds=120):
        """All rows of a statement."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/statement", sql.encode(),
                                         {"X-Trino-User": "e2e", "X-Trino-Catalog": "lake", "X-Trino-Schema": "e2e", "X-Trino-Time-Zone": "UTC"})
        rows, end = [], time.monotonic() + seconds
        while True:
            with urllib.request.urlopen(request, timeout=60) as r:
                answer = json.load(r)
            if "error" in answer:
                raise Failed(f"Trino: {answer['error']['message']}\n  in {sql[:2000]}")
            rows += answer.get("data", [])
            if "nextUri" not in answer:
                return [tuple(r) for r in rows]
            check(time.monotonic() < end, f"Trino did not answer within {seconds} s: {sql[:500]}")
            request = urllib.request.Request(answer["nextUri"])

    def table(self, name, location, columns, layout="PARQUET", partitioned=()):
        """An external table over a folder of the bucket; partitions are found."""
        body = ", ".join(f'"{n}" {type_name(t)}' for n, t in [*columns, *((p, ("string",)) for p in partitioned)])
        more = f", partitioned_by = ARRAY[{', '.join(repr(p) for p in partitioned)}]" if partitioned else ""
        self.query(f"CREATE TABLE {name} ({body}) WITH (external_location = 's3://lake/{location}', format = '{layout}'{more})")
        if partitioned:
            self.query(f"CALL lake.system.sync_partition_metadata('e2e', '{name}', 'FULL')")
