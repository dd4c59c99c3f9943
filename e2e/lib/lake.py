"""What the cases about Parquet and partitions share: sending lines, waiting for delivery, and reading with DuckDB and pyarrow."""
import base64
import gzip
import http.client
import io
import json
import os
import re
import threading
import urllib.parse

import duckdb
import pyarrow.parquet as pq

from harness import MB, check, wait_for

BODY_BYTES = 4 * MB
ERRORS = "failed/"


def lake_stream(name, bucket="lake", prefix=None, **more):
    """A stream with an error prefix of its own, so that what was set aside is never among what was delivered."""
    size, interval = more.pop("size", "4MB"), more.pop("interval", "2s")
    stream = {"name": name, "source": {"direct": {}}, "buffer": {"size": size, "interval": interval, **more.pop("buffer", {})},
              "destination": {"s3": {"bucket": bucket, "prefix": f"{name}/" if prefix is None else prefix,
                                     "error_prefix": f"{ERRORS}{name}/!{{firehose:error-output-type}}/"}}}
    return {**stream, **more}


def bodies(lines, limit=BODY_BYTES):
    """The lines as request bodies of at most limit bytes (a longer line alone is one)."""
    part, size = [], 0
    for line in lines:
        if part and size + len(line) >= limit:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    if part:
        yield part


def send(daemon, stream, lines, limit=BODY_BYTES):
    """Sends lines in order over one connection and waits for every answer."""
    c = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=120)
    for part in bodies(lines, limit):
        c.request("POST", f"/v1/streams/{stream}/records", b"\n".join(part), {"Content-Type": "application/x-ndjson"})
        r = c.getresponse()
        answer = r.read()
        check(r.status == 200 and json.loads(answer)["accepted"] == len(part), f"{stream}: {r.status} {answer[:300]}")
    c.close()


def waiting(daemon):
    """Records that are neither delivered nor set aside yet, over all streams."""
    return sum(v for k, v in daemon.metrics().items() if k.startswith("hydrant_backlog_records"))


def drain(daemon, seconds=60):
    """Waits until every accepted record is delivered or set aside."""
    wait_for("nothing waits any more", lambda: waiting(daemon) == 0, seconds, every=0.2)


def dump(text):
    """JSON without spaces, as UTF-8."""
    return json.dumps(text, separators=(",", ":"), ensure_ascii=False).encode()


def download(objects, folder):
    """Writes objects into a folder under their keys, and returns the paths in listing order."""
    paths = []
    for key, body in objects:
        path = os.path.join(folder, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(body)
        paths.append(path)
    return paths


def failures(store, bucket, stream):
    """[(error type, entry)] of what a stream set aside; rawData is decoded."""
    out, start = [], f"{ERRORS}{stream}/"
    for key, body in store.objects(bucket, start):
        check(body.endswith(b"\n"), f"{key} does not end with a newline")
        for line in body.splitlines():
            entry = json.loads(line)
            entry["rawData"] = base64.b64decode(entry["rawData"], validate=True)
            entry["message"] = entry.get("lastErrorMessage") or entry.get("errorMessage") or ""
            entry["code"] = entry.get("lastErrorCode") or entry.get("errorCode") or ""
            out.append((key[len(start):].split("/", 1)[0], entry))
    return out


def quoted(path):
    return "'" + path.replace("'", "''") + "'"


def duck_table(sql):
    """A query's answer by DuckDB, as an Arrow table."""
    with duckdb.connect() as c:
        c.execute("SET threads=1")
        c.execute("SET TimeZone='UTC'")
        return c.sql(sql).to_arrow_table()


def duck(sql):
    """Rows of a query by DuckDB."""
    return [tuple(r.values()) for r in duck_table(sql).to_pylist()]


def duck_files(paths, more=""):
    """read_parquet(...) over files, as SQL."""
    return f"read_parquet([{', '.join(map(quoted, paths))}], union_by_name=true{more})"


def codecs(path):
    """The codecs that a file's footer names, read by pyarrow and by DuckDB; they must agree."""
    meta = pq.read_metadata(path)
    arrow = {meta.row_group(g).column(c).compression for g in range(meta.num_row_groups) for c in range(meta.num_columns)}
    other = {r[0] for r in duck(f"SELECT DISTINCT compression FROM parquet_metadata({quoted(path)})")}
    check(arrow == other, f"{path}: pyarrow sees the codecs {arrow}, DuckDB {other}")
    return arrow


def disk_objects(data_dir, bucket, prefix=""):
    """What the embedded store holds, under the objects' own keys: names that are no safe ones stand escaped on the disk."""
    out, root = [], os.path.join(data_dir, "s3", bucket)
    for folder, _, names in os.walk(root):
        for n in names:
            path = os.path.join(folder, n)
            key = re.sub("%x([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), os.path.relpath(path, root).replace("%m/", ""))
            if key.startswith(prefix):
                with open(path, "rb") as f:
                    out.append((key, f.read()))
    return sorted(out)


def delivered(store, name):
    """Objects of a stream, in the order of delivery; later generations of a learned schema have prefixes beside the first."""
    objects = [o for o in store.objects("lake", name) if re.match(re.escape(name) + r"(-schema-\d+)?/", o[0])]
    return sorted(objects, key=lambda o: os.path.basename(o[0]))


class DiskStore:
    """The embedded store with the keys as they were given."""

    def __init__(self, data_dir):
        self.data_dir = data_dir

    def objects(self, bucket, prefix=""):
        return disk_objects(self.data_dir, bucket, prefix)


def hive_values(key, names):
    """{name: value} of the Hive folders of a key, unescaped; the values as they stand in the key, too."""
    parts = dict(p.split("=", 1) for p in key.split("/")[:-1] if "=" in p)
    check(set(parts) == set(names), f"key {key!r} has the folders {sorted(parts)} instead of {sorted(names)}")
    return {n: urllib.parse.unquote(v, errors="strict") for n, v in parts.items()}


def rows_of(body):
    """The records of an object, by its content: Parquet, gzip or plain lines of JSON."""
    if body.startswith(b"PAR1"):
        return pq.read_table(io.BytesIO(body)).to_pylist()
    return [json.loads(x) for x in (gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body).splitlines()]


def clean_key(key, prefix):
    """No key leaves its prefix or holds what a file system or a URL takes for something else."""
    check(key.startswith(prefix), f"key {key!r} left {prefix!r}")
    check(not re.search(r"[\x00-\x1f\x7f]", key), f"key {key!r} holds a control character")
    check(all(p not in ("", ".", "..") for p in key.split("/")), f"key {key!r} has an empty or relative part")


def peak_mb(process):
    return process.status_kb("VmHWM") >> 10


def reset_peak(process):
    """VmHWM starts anew."""
    with open(f"/proc/{process.pid}/clear_refs", "w") as f:
        f.write("5")


def in_threads(calls):
    """Runs the calls side by side; the first error of any is raised."""
    errors = []

    def work(call):
        try:
            call()
        except Exception as e:  # reported by the parent
            errors.append(e)

    threads = [threading.Thread(target=work, args=(c,)) for c in calls]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
