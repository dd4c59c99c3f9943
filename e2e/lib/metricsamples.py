"""Samples as CloudWatch metric streams and Prometheus adapters write them, and what becomes of each in OpenSearch, computed here."""
import datetime
import json
import math
import random

START = 1_773_136_800_000  # 2026-03-10T10:00:00Z
MINUTE, HOURS = 60_000, 2
END = START + HOURS * 60 * MINUTE

ELB = [{"LoadBalancer": f"app/web-{n % 2}/50dc6c495c0c9188", "TargetGroup": f"targetgroup/tg-{n}/73e2d6bc24d8a067"} for n in range(6)]
FUNCTIONS = [{"FunctionName": name} for name in ("checkout", "resize", "notify", "report", "sync", "mail", "thumb", "audit")]
APIS = [{"ApiName": name, "Stage": "prod"} for name in ("orders", "users", "stock")]
HOSTS = [{"InstanceId": f"i-0{n}a1b2c3d4e5f60{n}"} for n in range(5)]
SERVICES = [{"service.name": name, "deployment": "blue"} for name in ("cart", "search")]  # a dot in the name of a dimension
CLOUDWATCH = [  # namespace, metric, unit, dimensions, how many a minute, how large each (None: the number itself is the metric)
    ("AWS/ApplicationELB", "RequestCount", "Count", ELB, (20, 900), None),
    ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Count", ELB, (1, 20), None),
    ("AWS/ApplicationELB", "TargetResponseTime", "Seconds", ELB, (20, 900), 0.2),
    ("AWS/Lambda", "Invocations", "Count", FUNCTIONS, (1, 400), None),
    ("AWS/Lambda", "Errors", "Count", FUNCTIONS, (1, 9), None),
    ("AWS/Lambda", "Duration", "Milliseconds", FUNCTIONS, (1, 400), 80),
    ("AWS/ApiGateway", "Count", "Count", APIS, (5, 300), None),
    ("AWS/ApiGateway", "Latency", "Milliseconds", APIS, (5, 300), 35),
    ("AWS/EC2", "CPUUtilization", "Percent", HOSTS, (1, 5), 40),
    ("Shop/Services", "queue.depth", "None", SERVICES, (1, 12), 15),
]
COUNTERS = [("http_requests_total", {"handler": "/", "code": "200"}, 40), ("http_requests_total", {"handler": "/api", "code": "200"}, 90),
            ("http_requests_total", {"handler": "/api", "code": "500"}, 2), ("process_cpu_seconds_total", {}, 7),
            ("http_request_duration_seconds_count", {}, 130), ("http_request_duration_seconds_sum", {}, 21),
            ("http_request_duration_seconds_bucket", {"le": "0.1"}, 100), ("http_request_duration_seconds_bucket", {"le": "+Inf"}, 130)]
GAUGES = [("up", 1, 0), ("process_resident_memory_bytes", 9e7, 3e6), ("go_goroutines", 60, 20), ("node_load1", 1.5, 1.2)]
INSTANCES = [("api", "10.0.0.1:8080"), ("api", "10.0.0.2:8080"), ("worker", "10.0.0.3:9100")]
RESTARTED, RESTART = "10.0.0.2:8080", START + 61 * MINUTE  # its counters begin anew


def cloudwatch(rnd):
    """[sample] over the two hours and a little around them, sparse as CloudWatch's are."""
    out = []
    for namespace, metric, unit, dimensions, (low, high), size in CLOUDWATCH:
        for d in dimensions:
            for t in range(START - 10 * MINUTE, END + 10 * MINUTE, MINUTE):
                if rnd.random() < 0.9:
                    out.append({"metric_stream_name": "all", "account_id": "111122223333", "region": "eu-central-1", "namespace": namespace,
                                "metric_name": metric, "dimensions": d, "timestamp": t, "value": statistics(rnd, rnd.randint(low, high), size), "unit": unit})
    return out


def statistics(rnd, count, size):
    """What is counted is told in a few reports a minute; the rest has its four statistics, and sometimes more."""
    if size is None:
        reports = rnd.randint(1, min(count, 6))
        return {"max": float(count // reports + count % reports), "min": float(count // reports), "sum": float(count), "count": float(reports)}
    mean = size * rnd.lognormvariate(0, 0.5)
    v = {"max": mean * rnd.uniform(1, 6), "min": mean * rnd.uniform(0.1, 1), "sum": mean * count, "count": float(count)}
    if rnd.random() < 0.1:
        v.update({"p99": v["max"] * 0.9, "p99.9": v["max"] * 0.99, "TM(10%:90%)": mean})
    return v


def records(rnd, samples):
    """Samples as records of a metric stream: several a record, one a line, in no order of time."""
    lines = [json.dumps(s, separators=(",", ":")) for s in samples]
    rnd.shuffle(lines)
    out = []
    while lines:
        n = rnd.randint(1, 60)
        out.append(("\n".join(lines[:n]) + "\n").encode())
        del lines[:n]
    return out


def prometheus(rnd):
    """[sample] of a scrape every 30 s, as prometheus-kafka-adapter writes them: numbers in strings, the name twice."""
    out, state = [], {}
    for t in range(START - 5 * MINUTE, END + 5 * MINUTE, 30_000):
        for job, instance in INSTANCES:
            at = t + rnd.randrange(1000)
            if instance == RESTARTED and RESTART <= t < RESTART + 30_000:
                state = {k: v for k, v in state.items() if k[0] != instance}
            for n, (name, labels, per_scrape) in enumerate(COUNTERS):
                state[instance, n] = state.get((instance, n), 0) + rnd.randint(0, 2 * per_scrape)
                out.append(sample(name, {"job": job, "instance": instance, **labels}, at, state[instance, n]))
            for name, mean, spread in GAUGES:
                out.append(sample(name, {"job": job, "instance": instance}, at, special(rnd, mean + spread * rnd.uniform(-1, 1))))
    return out


def special(rnd, v):
    """Sometimes what is no number: a stale series, a division by zero."""
    return math.nan if rnd.random() < 0.01 else math.inf if rnd.random() < 0.005 else v


def sample(name, labels, at, v):
    stamp = datetime.datetime.fromtimestamp(at / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    text = "NaN" if math.isnan(v) else "+Inf" if math.isinf(v) else repr(v)
    return {"timestamp": stamp, "value": text, "name": name, "labels": {"__name__": name, **labels}}


def document(s):
    """What a sample is in OpenSearch, its time as milliseconds."""
    return of_cloudwatch(s) if "metric_name" in s else of_prometheus(s)


def of_cloudwatch(s):
    v, owner = dict(s["value"]), f"{s['account_id']}/{s['region']}/{s['namespace']}/"
    stats = {k.replace(".", "_"): v[k] for k in v if k not in ("min", "max", "sum", "count")}
    return {"@timestamp": s["timestamp"], "source": "cloudwatch", "kind": "summary", "metric": s["metric_name"], "namespace": s["namespace"],
            "unit": s["unit"], "account": s["account_id"], "region": s["region"], "metric_stream": s["metric_stream_name"],
            **{k: v[k] for k in ("min", "max", "sum", "count")}, "value": v["sum"] / v["count"], **({"stats": stats} if stats else {}),
            **named(s["dimensions"], owner + s["metric_name"])}


def of_prometheus(s):
    name, text = s["name"], s["value"]
    number = {"value_text": text} if text in ("NaN", "+Inf") else {"value": float(text)}
    counter = name.endswith(("_total", "_count", "_sum", "_bucket"))
    return {"@timestamp": milliseconds(s["timestamp"]), "source": "prometheus", "kind": "counter" if counter else "gauge", "metric": name, **number,
            **named({k: v for k, v in s["labels"].items() if k != "__name__"}, name)}


def named(labels, name):
    pairs = [f"{k}={labels[k]}" for k in sorted(labels)]
    return {"labels": {k.replace(".", "_"): v for k, v in labels.items()}, "label_pairs": pairs, "series": f"{name}{{{','.join(pairs)}}}"}


def milliseconds(stamp):
    return round(datetime.datetime.fromisoformat(stamp).timestamp() * 1000)


def seeded():
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)
