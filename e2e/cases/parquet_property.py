"""Random schemas and random JSON: what DuckDB and pyarrow read back is what went in; what does not fit is set aside.

parquet_property.py [SEED [ONLY]]: ONLY is one stream, such as declared-17.
"""
import os
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import columns
import lake
import randomjson
from harness import Daemon, Failed, FileStore, check, running, workspace

DECLARED, INFERRED, RECORDS, STREAMS_AT_ONCE = 160, 50, 30, 42
INFERABLE = ("boolean", "bigint", "double", "string")


def settings(rnd):
    """How the file is written; none of it changes a value but timestamps."""
    return {"compression": rnd.choice(["snappy", "gzip", "zstd", "none"]), "timestamps": rnd.choice(list(randomjson.UNITS)),
            "dictionary": rnd.choice(["auto", "on", "off"]), "writer_version": rnd.choice(["v1", "v2"]),
            "page_size": rnd.choice(["64KB", "1MB"])}


class Declared:
    """A stream with a random schema, the records for it, and what must be read back."""

    def __init__(self, seed, number):
        self.name, rnd = f"declared-{number}", random.Random(f"{seed} {number}")
        names = randomjson.names(rnd, rnd.randint(1, 6))
        self.type = ("struct", ("id", ("bigint",)), *((f"c{i}_{n}", randomjson.a_type(rnd)) for i, n in enumerate(names)))
        self.parquet = {"schema": {"columns": {n: columns.hive(t) for n, t in self.type[1:]}}, **settings(rnd)}
        values = randomjson.Values(rnd, self.parquet["timestamps"], rnd.choice([0, 0, 0.01]))
        self.lines, self.rows, self.unfit, n = [], [], [], 0
        for _ in range(RECORDS):
            values.unfit, objects, want = False, [], []
            for _ in range(rnd.choice([1] * 9 + [2, 3])):
                body, row = values.struct(("struct", *self.type[2:]))
                while not body.startswith("{"):  # a row is an object
                    body, row = values.struct(("struct", *self.type[2:]))
                objects.append(f'{{"id":{n}' + ("," if body[1:-1].strip() else "") + body[1:])
                want.append({"id": n, **row})
                n += 1
            array = rnd.random() < 0.3 and len(objects) > 1
            self.lines.append(("[" + ", ".join(objects) + "]" if array else " ".join(objects)).encode())
            if values.unfit:
                self.unfit.append(self.lines[-1])
            else:
                self.rows += want

    def verify(self, store, folder):
        paths = lake.download(store.objects("lake", self.name + "/"), os.path.join(folder, "files"))
        aside = [e["rawData"].rstrip(b"\n") for _, e in lake.failures(store, "lake", self.name)]
        missing, extra = [x for x in self.unfit if x not in aside], [x for x in aside if x not in self.unfit]
        check(not missing, f"not set aside: {missing[:1]}")
        check(not extra, f"set aside: {extra[:1]}: {[e['message'] for _, e in lake.failures(store, 'lake', self.name)][:2]}")
        if not self.rows:
            return
        for path in paths:
            check(pq.read_schema(path).names == [n for n, _ in self.type[1:]], f"columns {pq.read_schema(path).names}")
        compare("pyarrow", pa.concat_tables([pq.read_table(p) for p in paths]).to_pylist(), self.rows)
        compare("DuckDB", lake.duck_table(f"FROM {lake.duck_files(paths)}").to_pylist(), self.rows)


def compare(reader, got, want):
    check(len(got) == len(want), f"{reader}: {len(got)} rows instead of {len(want)}")
    wrong = [f"row {i}{columns.where(g, w)}" for i, (g, w) in enumerate(zip(got, want)) if not columns.same(g, w)]
    check(not wrong, f"{reader}: {len(wrong)} rows differ: " + "; ".join(wrong[:3]))


class Inferred:
    """A stream that learns its columns from random JSON of about one shape; the records are their own expectation."""

    def __init__(self, seed, number):
        self.name, rnd = f"inferred-{number}", random.Random(f"{seed} infer {number}")
        self.parquet = {"schema": "infer", **settings(rnd)}
        del self.parquet["timestamps"]  # an inferred schema has none
        values = randomjson.Values(rnd, misfit=rnd.choice([0, 0.003, 0.01]))
        shape = ("struct", *((f"c{i}", inferable(randomjson.a_type(rnd))) for i in range(rnd.randint(1, 5))))
        self.lines, self.source, self.folders = [], [], set()
        for n in range(RECORDS):
            body = ""
            while not body.startswith("{"):
                body, _ = values.struct(shape)
            self.lines.append((f'{{"id":{n}' + ("," if body[1:-1].strip() else "") + body[1:]).encode())
            self.source.append(columns.load(self.lines[-1]))

    def verify(self, store, folder):
        objects, delivered, t = lake.delivered(store, self.name), set(), ("struct",)
        for path in lake.download(objects, os.path.join(folder, "files")):
            table = pq.read_table(path)
            t = columns.table_type(table.schema)
            for row in table.to_pylist():
                n = row["id"]
                check(n not in delivered, f"record {n} is there twice")
                delivered.add(n)
                self.compare_row("pyarrow", row, t)
                lost = columns.forgotten(self.source[n], t)
                check(not lost, f"no column for {lost} of {self.lines[n][:300]}")
        self.folders = {k.split("/", 1)[0] for k, _ in objects}
        for group in self.folders:  # files of one prefix can be read together
            paths = [os.path.join(folder, "files", k) for k, _ in objects if k.startswith(group + "/")]
            together = lake.duck_table(f"FROM {lake.duck_files(paths)}")
            for row in together.to_pylist():
                self.compare_row("DuckDB", row, columns.table_type(together.schema))
        paths = [os.path.join(folder, "files", k) for k, _ in objects]
        count = lake.duck_table(f"FROM {lake.duck_files(paths)}").num_rows if paths else 0  # of all prefixes together, as the documents say
        check(count == len(delivered), f"DuckDB reads {count} records of all prefixes together instead of {len(delivered)}")
        self.verify_aside(store, delivered, t)

    def compare_row(self, reader, row, t):
        try:
            want = columns.expect(self.source[row["id"]], t, inferred=True)
        except columns.Refused as e:
            raise Failed(f"{reader}: written although refused by the rules: {e}: {self.lines[row['id']][:300]} gave {row}") from e
        check(columns.same(row, want), f"{reader}: record {row['id']}{columns.where(row, want)}")

    def verify_aside(self, store, delivered, t):
        aside = set()
        for _, e in lake.failures(store, "lake", self.name):
            n = self.lines.index(e["rawData"].rstrip(b"\n"))
            check(n not in delivered and n not in aside, f"record {n} is there and set aside")
            aside.add(n)
            check(not columns.learnable(self.source[n], t), f"set aside although every value fits: {e['message']}: {self.lines[n][:300]}")
        check(len(delivered | aside) == RECORDS, f"lost: {sorted(set(range(RECORDS)) - delivered - aside)}")


def inferable(t):
    """The type with the kinds that learning gives."""
    kind, *args = t
    if kind == "array":
        return (kind, inferable(args[0]))
    if kind == "map":
        return ("struct", ("k1", inferable(args[1])), ("k2", inferable(args[1])))
    if kind == "struct":
        return (kind, *((n, inferable(x)) for n, x in args))
    return (kind,) if kind in INFERABLE else (INFERABLE[len(kind) % len(INFERABLE)],)


def run(cases, wrong):
    with workspace("property") as folder:
        daemon = Daemon(folder, [lake.lake_stream(c.name, interval="1s", format="parquet", parquet=c.parquet) for c in cases], "file")
        with running(daemon):
            daemon.start()
            for part in (slice(0, RECORDS // 3), slice(RECORDS // 3, None)):  # so that schemas change between files
                for c in cases:
                    lake.send(daemon, c.name, c.lines[part])
                lake.drain(daemon)
            daemon.stop()
            for c in cases:
                try:
                    c.verify(FileStore(daemon.data_dir), folder)
                except Exception as e:  # counted: one wrong schema hides no other
                    wrong.append(f"{c.name}: {type(e).__name__ if not isinstance(e, Failed) else ''} {e}\n    {c.parquet}"[:2500])


def main(seed="1", only=None):
    cases = [Declared(seed, n) for n in range(DECLARED)] + [Inferred(seed, n) for n in range(INFERRED)]
    cases = [c for c in cases if only in (None, c.name)]
    wrong = []
    for at in range(0, len(cases), STREAMS_AT_ONCE):
        run(cases[at:at + STREAMS_AT_ONCE], wrong)
    check(not wrong, "\n".join([f"seed {seed}: {len(wrong)} of {len(cases)} wrong:"] + wrong[:12]))
    changed = sum(len(c.folders) > 1 for c in cases if isinstance(c, Inferred))
    check(changed or only, "no column changed its type between two files: this case does not show what it is for")
    print(f"seed {seed}: {changed} streams changed the type of a column between two files")
    print(f"seed {seed}: {len(cases)} schemas, {sum(len(c.lines) for c in cases)} records, "
          f"{sum(len(c.unfit) for c in cases if isinstance(c, Declared))} set aside as they should")


main(*sys.argv[1:])
