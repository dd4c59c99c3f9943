"""Log events as services write them: one JSON object of 20 fields, about 670 bytes each; a flat and a nested kind for columns."""
import json
import random

SERVICES = ["checkout", "catalog", "search", "gateway", "billing", "accounts", "shipping", "mail"]
PATHS = ["/api/v1/orders/%d", "/api/v1/items/%d/price", "/search?q=%d", "/login", "/cart/%d", "/static/app.%d.js", "/health"]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
          "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148",
          "curl/8.9.1", "okhttp/4.12.0"]
MESSAGES = ["request handled; the answer was taken from the cache of the nearest node and is at most 30 seconds old",
            "cache miss: the record was read from the primary database and stored for the next request of this kind",
            "slow query: it took longer than the limit of 250 ms, an index on (customer, created_at) may be missing",
            "upstream answered with an error, trying the next one of the pool after a short and random time of waiting",
            "session renewed for a signed-in user; the token before it stays valid for another 60 seconds at most"]


def event(rnd, n):
    path = rnd.choice(PATHS)
    status = rnd.choices([200, 201, 204, 301, 400, 404, 500, 503], [80, 5, 5, 2, 2, 4, 1, 1])[0]
    return {
        "timestamp": "2026-01-%02dT%02d:%02d:%02d.%06dZ" % (1 + n // 8640000 % 28, n // 360000 % 24, n // 6000 % 60, n // 100 % 60, rnd.randrange(10**6)),
        "level": rnd.choices(["info", "warn", "error", "debug"], [85, 8, 3, 4])[0],
        "service": rnd.choice(SERVICES), "version": "4.%d.%d" % (rnd.randrange(20), rnd.randrange(10)),
        "host": "node-%03d.example.internal" % rnd.randrange(200), "pod": "%s-%08x" % (rnd.choice(SERVICES), rnd.getrandbits(32)),
        "region": rnd.choice(["eu-west-1", "us-east-1", "ap-south-1"]),
        "trace_id": "%032x" % rnd.getrandbits(128), "span_id": "%016x" % rnd.getrandbits(64),
        "user_id": rnd.randrange(10**7), "session": "%024x" % rnd.getrandbits(96),
        "client_ip": "%d.%d.%d.%d" % tuple(rnd.randrange(1, 255) for _ in range(4)),
        "method": rnd.choice(["GET", "GET", "GET", "POST", "PUT"]), "path": path % rnd.randrange(10**6) if "%" in path else path,
        "status": status, "duration_ms": round(rnd.lognormvariate(3, 1), 3), "bytes": int(rnd.lognormvariate(8, 2)),
        "user_agent": rnd.choice(AGENTS), "message": rnd.choice(MESSAGES),
        "labels": {"team": rnd.choice(["core", "shop", "data"]), "tier": rnd.choice(["gold", "silver"]), "canary": rnd.random() < 0.05},
    }


# Hive names of the types of a flat event, and what a nested one has instead of "labels".
FLAT = {
    "timestamp": "timestamp", "level": "string", "service": "string", "version": "string", "host": "string", "pod": "string", "region": "string",
    "trace_id": "string", "span_id": "string", "user_id": "bigint", "session": "string", "client_ip": "string", "method": "string", "path": "string",
    "status": "int", "duration_ms": "double", "bytes": "bigint", "user_agent": "string", "message": "string", "canary": "boolean",
}
NESTED = {
    **{name: t for name, t in FLAT.items() if name != "canary"},
    "user": "struct<id:bigint,name:string,address:struct<city:string,zip:string>>", "tags": "array<string>", "labels": "map<string,string>",
    "items": "array<struct<sku:string,quantity:int,price:double>>",
}


def flat_event(rnd, n):
    """20 columns, none of them made of others."""
    e = event(rnd, n)
    return {**{k: v for k, v in e.items() if k != "labels"}, "canary": e["labels"]["canary"]}


def nested_event(rnd, n):
    e = event(rnd, n)
    team = e.pop("labels")
    e["user"] = {"id": e["user_id"], "name": "user-%d" % (e["user_id"] % 5000),
                 "address": {"city": rnd.choice(["Oslo", "Lagos", "Lima", "Pune"]), "zip": "%05d" % rnd.randrange(10**5)}}
    e["tags"] = rnd.sample(["web", "mobile", "beta", "paid", "eu", "us"], rnd.randrange(4))
    e["labels"] = {"team": team["team"], "tier": team["tier"]}
    e["items"] = [{"sku": "SKU-%06d" % rnd.randrange(10**6), "quantity": rnd.randrange(1, 9), "price": rnd.randrange(100, 99999) / 100}
                  for _ in range(rnd.randrange(4))]
    return e


def lines(count, seed=1, kind=event):
    rnd = random.Random(seed)
    return [json.dumps(kind(rnd, n), separators=(",", ":")).encode() for n in range(count)]
