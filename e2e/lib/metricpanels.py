"""What each panel of the metrics dashboard is meant to show, computed straight from the samples: no part of a panel's search is read here.

A panel is (names of its metrics, {keys of its buckets: values of these metrics}). "documents" is how many a bucket has, "1@95" the 95th
percentile of metric 1, for which the lowest and highest value that will do are given.
"""
import collections
import math

import metricsamples as samples

SLOT = 5 * samples.MINUTE


def slot(t):
    return t // SLOT * SLOT


def grouped(items):
    """{key: [value]} of (key, value)."""
    out = collections.defaultdict(list)
    for key, value in items:
        out[key].append(value)
    return out


def expected(cloudwatch, prometheus):
    """{panel: (names, rows)} over the two hours."""
    cw = [s for s in cloudwatch if samples.START <= s["timestamp"] < samples.END]
    pr = [{**s, "at": samples.milliseconds(s["timestamp"]), "number": float(s["value"])} for s in prometheus]
    pr = [s for s in pr if samples.START <= s["at"] < samples.END]
    out = {"totals": (["2"], {(): [len({series(s) for s in cw + pr})]}), "samples": arrivals(cw, pr), **counts(cw), **rates(pr), **gauges(pr)}
    for name, unit in (("latency-ms", "Milliseconds"), ("latency-s", "Seconds")):
        out[name] = latency([s for s in cw if s["unit"] == unit])
    every = grouped(((s["namespace"], s["metric_name"], s["unit"]), s["value"]) for s in cw)
    out["summary"] = ["1", "2", "3", "4", "5"], {k: summary(vs) for k, vs in every.items()}
    return {"hydrant-metrics-" + name: panel for name, panel in out.items()}


def series(s):
    labels = s.get("dimensions") or s["labels"]
    return s.get("namespace"), s.get("metric_name") or s["name"], tuple(sorted(labels.items()))


def arrivals(cw, pr):
    times = [(slot(s["timestamp"]), "cloudwatch") for s in cw] + [(slot(s["at"]), "prometheus") for s in pr]
    return ["documents"], {k: [n] for k, n in collections.Counter(times).items()}


def counts(cw):
    counted = [s for s in cw if s["unit"] == "Count"]
    over_time = grouped(((slot(s["timestamp"]), s["namespace"], s["metric_name"]), s["value"]["sum"]) for s in counted)
    pairs = grouped((f"{k}={v}", s) for s in counted for k, v in s["dimensions"].items())
    top = sorted(pairs, key=lambda p: (-sum(s["value"]["sum"] for s in pairs[p]), p))[:10]
    by_metric = grouped(((p, s["metric_name"]), s["value"]["sum"]) for p in top for s in pairs[p])
    return {"counts": (["1"], {k: [math.fsum(v)] for k, v in over_time.items()}),
            "top-dimensions": (["1"], {k: [math.fsum(v)] for k, v in by_metric.items()})}


def latency(timed):
    """Percentiles of the averages of the samples, and the highest maximum. The server estimates: one rank, or a hundredth of all, off will do."""
    out = {}
    for key, values in grouped(((slot(s["timestamp"]), s["metric_name"]), s["value"]) for s in timed).items():
        means = sorted(v["sum"] / v["count"] for v in values)
        n = len(means) - 1
        off = max(1, len(means) / 100)
        bounds = [(means[max(0, math.floor(q * n - off))], means[min(n, math.ceil(q * n + off))]) for q in (0.5, 0.95)]
        out[key] = [*bounds, max(v["max"] for v in values)]
    return ["1@50", "1@95", "2"], out


def summary(values):
    return [min(v["min"] for v in values), sum(v["sum"] / v["count"] for v in values) / len(values), max(v["max"] for v in values),
            math.fsum(v["sum"] for v in values), math.fsum(v["count"] for v in values)]


def rates(pr):
    """Per second, of each series in a slot; added up by metric."""
    growing = [s for s in pr if s["name"] not in {g[0] for g in samples.GAUGES}]
    each = grouped(((s["name"], slot(s["at"]), series(s)), (s["at"], s["number"])) for s in growing)
    total = collections.defaultdict(float)
    for (name, at, _), points in each.items():
        seconds = (max(p[0] for p in points) - min(p[0] for p in points)) / 1000
        total[name, at] += (max(p[1] for p in points) - min(p[1] for p in points)) / seconds if seconds else 0
    return {"rates": (["rate"], {k: [v] for k, v in total.items()})}


def gauges(pr):
    """Of what is a number."""
    level = [s for s in pr if s["name"] in {g[0] for g in samples.GAUGES}]
    finite = [s for s in level if math.isfinite(s["number"])]
    lines = grouped(((s["name"], slot(s["at"]), s["labels"]["instance"]), s["number"]) for s in finite)
    table = grouped(((s["name"], s["labels"]["job"]), s["number"]) for s in finite)
    documents = collections.Counter((s["name"], s["labels"]["job"]) for s in level)
    return {"gauges": (["1"], {k: [sum(v) / len(v)] for k, v in lines.items()}),
            "gauge-table": (["1", "2", "3", "documents"], {k: [sum(v) / len(v), min(v), max(v), documents[k]] for k, v in table.items()})}


def rows(answer, names, depth, keys=(), documents=0):
    """A search's answer in the same form: the values at this depth of its buckets."""
    if depth == 0:
        return {keys: [documents if n == "documents" else value(answer, n) for n in names]}
    buckets, = (a["buckets"] for a in answer.values() if isinstance(a, dict) and "buckets" in a)
    out = {}
    for b in buckets:
        out.update(rows(b, names, depth - 1, (*keys, b["key"]), b["doc_count"]))
    return out


def value(answer, name):
    name, _, percent = name.partition("@")
    if not percent:
        return answer[name]["value"]
    return next(v["value"] for v in answer[name]["values"] if v["key"] == float(percent))


def differences(answer, panel):
    """What an answer says otherwise than it should: [(keys, answered, expected)]."""
    names, want = panel
    got = rows(answer, names, len(next(iter(want))))
    return [(k, got.get(k), want.get(k)) for k in sorted(got.keys() | want.keys(), key=str) if not same(got.get(k), want.get(k))]


def same(got, want):
    return got is not None and want is not None and all(g is not None and fits(g, w) for g, w in zip(got, want, strict=True))


def fits(got, want):
    low, high = want if isinstance(want, tuple) else (want, want)
    near = 1e-9 * max(1, abs(low), abs(high))
    return low - near <= got <= high + near
