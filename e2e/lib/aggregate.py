"""Searches with aggregations, computed over documents in Python, and compared with what a server answered."""
import math

from dashboards import milliseconds
from harness import Failed, check


def values(doc, field):
    """What a document has in a field: none, one or several values."""
    head, _, tail = field.partition(".")
    v = doc.get(head)
    if tail:
        return values(v, tail) if isinstance(v, dict) else []
    return v if isinstance(v, list) else [] if v is None else [v]


def matches(query, doc):
    """Is this document found?"""
    (kind, q), = query.items()
    if kind == "bool":
        check(set(q) <= {"must", "filter", "must_not"}, f"{query} is not understood")
        return all(matches(c, doc) for c in q.get("must", []) + q.get("filter", [])) and not any(matches(c, doc) for c in q.get("must_not", []))
    if kind == "range":
        (field, limits), = q.items()
        return any(limits["gte"] <= v <= limits["lte"] for v in values(doc, field))
    if kind == "term":
        (field, v), = q.items()
        return v in values(doc, field)
    if kind == "query_string":
        pairs = [part.split(":") for part in q["query"].split(" AND ")]
        return all(v in values(doc, field) for field, v in pairs)
    raise Failed(f"{query} is not understood")


class Percentiles:
    """What a percentile may be: the server estimates it (t-digest)."""

    def __init__(self, found, percents):
        self.found, self.percents = sorted(found), percents

    def allow(self, answer, where):
        """Values by their rank: at most one rank, or a hundredth of them, away from the one asked for."""
        check([v["key"] for v in answer["values"]] == self.percents, f"{where}: percents {answer}")
        n = len(self.found)
        off = max(1, n / 100)
        for v in answer["values"]:
            rank = v["key"] / 100 * (n - 1)
            low, high = self.found[max(0, math.floor(rank - off))], self.found[min(n - 1, math.ceil(rank + off))]
            near = 1e-9 * max(abs(low), abs(high))
            check(low - near <= v["value"] <= high + near, f"{where}: percentile {v} of {n} values is not in [{low}, {high}]")


class Computed:
    """Aggregations in Python. scripts: {text of a bucket_script: the same as a function of its params}."""

    def __init__(self, scripts):
        self.scripts, self.run = scripts, set()

    def answer(self, aggs, docs):
        """{name: value or buckets}, as `compare` expects them."""
        out = {}
        for name, agg in aggs.items():
            kind, = set(agg) - {"aggs"}
            p, within = agg[kind], agg.get("aggs", {})
            if kind == "terms":
                out[name] = self.terms(p, within, docs)
            elif kind == "date_histogram":
                out[name] = self.histogram(p, within, docs)
            elif kind == "bucket_script":
                out[name] = self.script(p, out)
            elif kind == "sum_bucket":
                outer, inner = p["buckets_path"].split(">")
                out[name] = math.fsum(b[inner] for _, _, b in out[outer] if b[inner] is not None)
            else:
                out[name] = number(kind, p, docs)
        return out

    def script(self, p, siblings):
        params = {k: siblings[path] for k, path in p["buckets_path"].items()}
        self.run.add(p["script"])
        return None if None in params.values() else self.scripts[p["script"]](params)

    def terms(self, p, within, docs):
        groups = {}
        for doc in docs:
            for v in set(values(doc, p["field"])):
                groups.setdefault(v, []).append(doc)
        buckets = [(k, len(g), self.answer(within, g)) for k, g in sorted(groups.items())]  # ties stay in the order of their keys
        (by, way), = p.get("order", {"_count": "desc"}).items()
        rank = {"_key": lambda b: b[0], "_count": lambda b: b[1]}.get(by, lambda b: b[2][by])
        return sorted(buckets, key=rank, reverse=way == "desc")[:p["size"]]

    def histogram(self, p, within, docs):
        step, groups = milliseconds(p.get("fixed_interval") or p["interval"]), {}
        check(p["min_doc_count"] == 1, f"{p} is not understood")
        for doc in docs:
            groups.setdefault(doc[p["field"]] // step * step, []).append(doc)
        return [(k, len(g), self.answer(within, g)) for k, g in sorted(groups.items())]


def number(kind, p, docs):
    found = [v for doc in docs for v in values(doc, p["field"])]
    if kind == "percentiles":
        return Percentiles(found, p["percents"])
    if kind == "sum":
        return math.fsum(found)
    if kind == "cardinality":
        return len(set(found))
    if not found:
        return None
    return {"min": min, "max": max, "avg": lambda vs: math.fsum(vs) / len(vs)}[kind](found)


def compare(want, got, where):
    """Every bucket and every value; returns how many values were compared, and how many of them are neither missing nor 0."""
    compared = telling = 0
    for name, w in want.items():
        at = f"{where} > {name}"
        check(name in got or w is None, f"{at}: not answered")
        if isinstance(w, list):
            buckets = got[name]["buckets"]
            check([(k, n) for k, n, _ in w] == [(b["key"], b["doc_count"]) for b in buckets],
                  f"{at}: {[(b['key'], b['doc_count']) for b in buckets][:12]} instead of {[(k, n) for k, n, _ in w][:12]}")
            for (k, _, inner), b in zip(w, buckets):
                n, t = compare(inner, b, f"{at}[{k}]")
                compared, telling = compared + n + 1, telling + t + 1
            continue
        compared += 1
        if isinstance(w, Percentiles):
            if w.found:
                w.allow(got[name], at)
            telling += bool(w.found)
            continue
        g = got.get(name, {}).get("value")
        check(g is None if w is None else g is not None and math.isclose(g, w, rel_tol=1e-9, abs_tol=1e-9), f"{at}: {g} instead of {w}")
        telling += bool(w)
    return compared, telling
