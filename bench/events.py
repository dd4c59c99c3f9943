"""Log events as services write them: one JSON object of 20 fields, about 670 bytes each."""
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


def lines(count, seed=1):
    rnd = random.Random(seed)
    return [json.dumps(event(rnd, n), separators=(",", ":")).encode() for n in range(count)]
