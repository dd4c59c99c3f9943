"""Records with nasty partition values, and streams that put them into Hive folders by customer and day."""
import lake

PREFIX = "sales/"
PARTS = ("customer", "dt")
NASTY = [
    "acme", "ACME", "a/b", "/", "//", "..", ".", "../../../etc/passwd", "a/../b", "~", "a b", " lead", "trail ", "trail.", "%", "100%", "%2F", "a%2Fb", "%zz",
    "a=b", "=", "dt=2026-01-01", "customer=x/dt=y", "'", '"', "it's", "`", "$(id)", "a&b", "a+b", "a?b#c", "a:b", "a*b", "a|b", "<a>", "a\\b", "a,b;c",
    "{x}", "!{timestamp:yyyy}", "!{partitionKeyFromQuery:customer}", "\t", "a\nb", "a\r\nb", "\x00", "\x1f", "\x7f", "\x85", "\u2028", "\ufeffbom",
    "ü", "u\u0308", "漢字", "😀", "עברית", "\u202eabc", "é" * 30, "null", "NULL", "None", "true", "0", "-1", "1e5", "007", "_hidden", ".hidden", "-rf",
    "__HIVE_DEFAULT_PARTITION", "CON", "x.parquet", "x" * 200,
]
TYPED = {"number": (42, "42"), "boolean": (True, "true")}  # values that are no text, and the text that they become
DAYS = ["2026-01-01", "2026-02-28", "2024-02-29"]
BAD = {  # what becomes an error record, and a word that the reason must hold
    "null": ({"customer_id": None}, "customer"), "missing": ({}, "customer"), "empty": ({"customer_id": ""}, "customer"),
    "object": ({"customer_id": {"a": 1}}, "customer"), "array": ({"customer_id": [1]}, "customer"),
    "not json": (None, ""), "no time": ({"customer_id": "acme", "ts": None}, "ts"), "bad time": ({"customer_id": "acme", "ts": "yesterday"}, "ts"),
    "too long": ({"customer_id": "y" * 1100}, "customer"),
}
ROUNDS = 12  # of every value and day


def records():
    """({id: (customer, day, amount)}, [line]) in an order in which partitions alternate."""
    want, lines = {}, []
    for r in range(ROUNDS):
        for i, value in enumerate([*NASTY, *TYPED]):
            raw, text = TYPED.get(value, (value, value))
            for day in DAYS:
                n = len(lines)
                want[f"r{n}"] = (text, day, n % 1000)
                ts = f"{day}T{(r + i) % 24:02d}:59:5{n % 10}Z"
                lines.append(lake.dump({"id": f"r{n}", "customer_id": raw, "ts": ts, "amount": n % 1000}))
    return want, lines


def bad_lines():
    for what, (record, _) in BAD.items():
        yield what, b"{no json" if record is None else lake.dump({"id": f"bad {what}", "ts": "2026-01-01T00:00:00Z", "amount": 0, **record})


def stream(name, **more):
    return lake.lake_stream(
        name, prefix=f"{PREFIX}{name}/customer=!{{partitionKeyFromQuery:customer}}/dt=!{{eventTime:yyyy-MM-dd}}/", interval="3s",
        processors=[{"partition": {"customer": ".customer_id"}}], partitioning={"event_time": ".ts", **more.pop("partitioning", {})}, **more)


COLUMNS = {"schema": {"columns": {"id": "string", "amount": "int"}}}
STREAMS = ("rows", "columns", "defaults")


def streams():
    yield stream("rows", format="json", compression="gzip")
    yield stream("columns", format="parquet", parquet=COLUMNS)
    yield stream("defaults", format="parquet", parquet=COLUMNS, partitioning={"defaults": {"customer": "un/known"}})
