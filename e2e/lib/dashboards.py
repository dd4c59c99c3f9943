"""Saved objects of OpenSearch Dashboards, and the searches that Dashboards makes of their panels.

Only what the shipped panels use is translated; anything else is a failure, so that no panel is half understood.
"""
import copy
import json
import re

from harness import Failed, check

METRICS = ("sum", "min", "max", "avg", "cardinality", "percentiles")
SHOWN = {"customLabel", "otherBucket", "otherBucketLabel", "missingBucket", "missingBucketLabel", "useNormalizedOpenSearchInterval",
         "scaleMetricValues", "drop_partials", "extended_bounds", "row"}  # parameters that add nothing to the request, as they stand here
MAX_BARS = 100  # histogram:maxBars: with more, Dashboards widens the interval
STEPS = [  # %autointerval%: up to so many milliseconds a bucket, this interval
    (500, "100ms"), (5_000, "1s"), (7_500, "5s"), (15_000, "10s"), (45_000, "30s"), (180_000, "1m"), (450_000, "5m"), (1_200_000, "10m"),
    (2_700_000, "30m"), (7_200_000, "1h"), (21_600_000, "3h"), (86_400_000, "12h")]
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def load(path):
    """{(type, id): object}. The last line is the export's own count."""
    with open(path) as f:
        *objects, summary = map(json.loads, f)
    check(summary == {"exportedCount": len(objects), "missingRefCount": 0, "missingReferences": []}, f"{path}: the last line is {summary}")
    out = {(o["type"], o["id"]): o for o in objects}
    check(len(out) == len(objects), f"{path}: an object is there twice")
    for o in objects:
        for ref in o["references"]:
            check((ref["type"], ref["id"]) in out, f"{o['id']} refers to {ref}, which is not there")
    return out


def panels(objects, dashboard):
    """The visualizations that a dashboard shows, in its order; every panel has its place."""
    d = objects["dashboard", dashboard]
    names = {r["name"]: (r["type"], r["id"]) for r in d["references"]}
    out, taken = [], set()
    for p in json.loads(d["attributes"]["panelsJSON"]):
        out.append(objects[names[p["panelRefName"]]])
        g = p["gridData"]
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        check(g["x"] + g["w"] <= 48 and not cells & taken, f"{p}: outside the grid, or on another panel")
        taken |= cells
    check(len(out) == len(names) == len(set(names.values())), "panels and references of the dashboard differ")
    return out


def milliseconds(interval):
    m = re.fullmatch(r"(\d+)(ms|s|m|h)", interval)
    check(m, f"the interval {interval} is not understood")
    return int(m[1]) * UNITS[m[2]]


class Range:
    """What the time picker says, in milliseconds since 1970."""

    def __init__(self, gte, lte):
        self.gte, self.lte = gte, lte

    def clause(self):
        return {"gte": self.gte, "lte": self.lte, "format": "epoch_millis"}


def search(vis, objects, when):
    """(index, body) of the search behind a visualization."""
    state = json.loads(vis["attributes"]["visState"])
    check(state["title"] == vis["attributes"]["title"], f"{vis['id']} has two titles")
    if state["type"] == "vega":
        return vega(json.loads(state["params"]["spec"]), when)
    source = json.loads(vis["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    pattern = next(objects[r["type"], r["id"]] for r in vis["references"] if r["name"] == source["indexRefName"])["attributes"]
    must = [{"range": {pattern["timeFieldName"]: when.clause()}}]
    if source["query"]["query"]:
        check(source["query"]["language"] == "lucene", f"{vis['id']}: a query that is not Lucene's")
        must.append({"query_string": {"query": source["query"]["query"], "analyze_wildcard": True, "time_zone": "UTC"}})
    check(source["filter"] == [], f"{vis['id']}: filters are not understood")
    return pattern["title"], {"size": 0, "query": {"bool": {"must": must}}, "aggs": aggregations(state["aggs"], when)}


def aggregations(configs, when):
    """Buckets one within the other, in their order, and the metrics within the last one."""
    configs = [c for c in configs if c["enabled"]]
    metrics = {c["id"]: metric(c) for c in configs if c["schema"] == "metric" and c["type"] != "count"}
    counts = {c["id"] for c in configs if c["type"] == "count"}
    aggs = dict(metrics)
    for c in reversed([c for c in configs if c["schema"] != "metric"]):
        check(c["schema"] in ("split", "segment", "group", "bucket"), f"the schema of {c} is not understood")
        bucket, order = {"terms": terms, "date_histogram": histogram}[c["type"]](c["params"], counts, when)
        within = {order: metrics[order], **aggs} if order else aggs
        aggs = {c["id"]: {**bucket, **({"aggs": copy.deepcopy(within)} if within else {})}}
    return aggs


def used(params, *names):
    unknown = set(params) - set(names) - SHOWN
    check(not unknown and not params.get("otherBucket") and not params.get("missingBucket"), f"parameters {unknown} of {params} are not understood")


def metric(c):
    kind, params = c["type"], c["params"]
    check(kind in METRICS, f"the metric {kind} is not understood")
    used(params, "field", "percents")
    more = {"percents": params["percents"], "keyed": False} if kind == "percentiles" else {}
    return {kind: {"field": params["field"], **more}}


def terms(params, counts, _):
    """The buckets, and the metric that orders them if one does."""
    used(params, "field", "size", "order", "orderBy")
    by = params["orderBy"]
    bucket = {"terms": {"field": params["field"], "size": params["size"], "order": {"_count" if by in counts else by: params["order"]}}}
    return bucket, None if by in counts or by == "_key" else by


def histogram(params, _, when):
    used(params, "field", "interval", "min_doc_count")
    check(not params["drop_partials"] and params["extended_bounds"] == {}, f"{params} is not understood")
    check((when.lte - when.gte) / milliseconds(params["interval"]) <= MAX_BARS, "Dashboards would take a wider interval")
    return {"date_histogram": {"field": params["field"], "fixed_interval": params["interval"], "time_zone": "UTC",
                               "min_doc_count": params["min_doc_count"]}}, None


def vega(spec, when):
    """The search of a Vega-Lite specification, its %words% replaced as in a dashboard without filters."""
    url = copy.deepcopy(spec["data"]["url"])
    check(set(url) == {"index", "body"}, f"the url {url} is not understood")
    replaced = replace(url["body"], when)
    check("%" not in json.dumps(replaced), f"a word of {replaced} is not replaced")
    return url["index"], replaced


def replace(value, when):
    if isinstance(value, list):
        return [replace(v, when) for v in value if not str(v).startswith("%dashboard_context-")]
    if not isinstance(value, dict):
        return value
    if value == {"%timefilter%": True}:
        return when.clause()
    if "%autointerval%" in value:
        size = (when.lte - when.gte) / value["%autointerval%"]
        return next((name for limit, name in STEPS if size <= limit), None) or unknown(size)
    return {k: replace(v, when) for k, v in value.items()}


def unknown(size):
    raise Failed(f"buckets of {size} ms are not understood")


def fields(body):
    """Every field that a search names."""
    text = json.dumps(body)
    named = set(re.findall(r'"field": "([^"]+)"', text)) | set(re.findall(r'"(?:range|term)": \{"([^"]+)"', text))
    for q in re.findall(r'"query_string": \{"query": "([^"]+)"', text):
        named |= set(re.findall(r"([\w.@]+):", q))
    return named
