"""Random types, and random values for them: as JSON text in one of the ways that it can be written, and as what must be read back."""
import datetime
import decimal
import json

import columns

SCALARS = ("boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "string", "date", "timestamp", "decimal")
UNITS = {"millis": 1000, "micros": 1, "nanos": 1, "int96": 1}  # microseconds that a timestamp is cut to
ALPHABET = "abcxyzABC 0189_-.,:;/%&'<>{}[]()äöüßéñ漢字😀\u200d\u0301\u2028\"\\\b\f\n\r\t\x00\x1f\x7f"
NUMBER_MISFITS = ['"no number"', '{"a":1}', "[1]", "true"]
MISFITS = {  # JSON that no column of the kind takes; a string column takes everything
    "boolean": ["12", '{"a":1}', "[1]", '"maybe"'], "string": [], "array": ['{"a":1}'], "map": ['"x"', "7", "[1]"], "struct": ['"x"', "7", "true"],
    "date": ['"no day"', '{"a":1}', '"2026-13-01"', '"2025-02-29"', "20260101"], "timestamp": ['"no time"', '{"a":1}', "[1]", '"2026-01-01T25:00:00Z"'],
}


def a_type(rnd, depth=3):
    kind = rnd.choice(SCALARS + ("array", "map", "struct") * 3) if depth else rnd.choice(SCALARS)
    if kind == "decimal":
        p = rnd.randint(1, 38)
        return (kind, p, rnd.randint(0, p))
    if kind == "array":
        return (kind, a_type(rnd, depth - 1))
    if kind == "map":
        return (kind, (rnd.choice(["string", "string", "int", "bigint"]),), a_type(rnd, depth - 1))
    if kind == "struct":
        return (kind, *((n, a_type(rnd, depth - 1)) for n in names(rnd, rnd.randint(1, 4))))
    return (kind,)


def names(rnd, count):
    """Different names, in no order."""
    pool = ["id", "name", "zeta", "alpha", "created_at", "x1", "_y", "k_9", "order", "select", "very_long_name_" + "n" * 40, "b", "a", "m"]
    return rnd.sample(pool, count)


def written(rnd, x):
    """JSON text of a string, number or bool."""
    return json.dumps(x, ensure_ascii=rnd.random() < 0.3)


def space(rnd):
    return rnd.choice(["", "", "", "", " ", "\t", "  "])


def text(rnd):
    if rnd.random() < 0.02:
        return "long " * rnd.randint(200, 4000)
    return "".join(rnd.choice(ALPHABET) for _ in range(rnd.choice([0, 1, 2, 5, 12, 40])))


class Values:
    """Values for one stream: unit is how it keeps timestamps."""

    def __init__(self, rnd, unit="millis", misfit=0.0, sensitive=False):
        self.rnd, self.unit, self.misfit, self.sensitive, self.unfit = rnd, unit, misfit, sensitive, False

    def value(self, t):
        """(JSON text, what is read back); sets unfit when it wrote something that the column does not take."""
        rnd, kind = self.rnd, t[0]
        if rnd.random() < 0.08:
            return "null", None
        wrong = MISFITS.get(kind, NUMBER_MISFITS)
        if wrong and rnd.random() < self.misfit:
            self.unfit = True
            return rnd.choice(wrong), None
        return getattr(self, kind, self.integer)(t)

    def struct(self, t):
        """Some fields missing, in any order, in any case, some unknown ones between them."""
        rnd, parts, want = self.rnd, [], {}
        if len(t) > 1 and rnd.random() < 0.04 and not self.misfit:
            return self.positional(t)
        for name, part in t[1:]:
            want[name] = None
            if rnd.random() < 0.1:
                continue
            json_text, want[name] = self.value(part)
            parts.append((name if self.sensitive or rnd.random() < 0.8 else name.upper(), json_text))
        if rnd.random() < 0.2:
            parts.append((rnd.choice(["unknown", "é", "nobody asked"]), rnd.choice(["1", '"x"', '{"a":[1,{"b":null}]}', "[]", "1e-3", "true"])))
        if rnd.random() < 0.5:
            rnd.shuffle(parts)
        return self.object_text(parts), want

    def positional(self, t):
        """An array is a struct by position; an empty one, and "", are null."""
        pairs = [self.value(part) for _, part in t[1:]]
        kept = self.rnd.randint(0, len(pairs))
        if not kept:
            return self.rnd.choice(["[]", '""']), None
        return "[" + ",".join(p[0] for p in pairs[:kept]) + "]", {name: pairs[i][1] if i < kept else None for i, (name, _) in enumerate(t[1:])}

    def object_text(self, parts):
        rnd = self.rnd
        inner = ",".join(f"{space(rnd)}{written(rnd, k)}{space(rnd)}:{space(rnd)}{v}{space(rnd)}" for k, v in parts)
        return "{" + (inner or space(rnd)) + "}"

    def array(self, t):
        if self.rnd.random() < 0.05 and t[1][0] not in ("array", "map", "struct"):
            one, want = self.value(t[1])  # a scalar becomes an array of one; "" and null are no array
            if one[0] in "[{":
                return f"[{one}]", [want]
            return one, None if one in ("null", '""') else [want]
        pairs = [self.value(t[1]) for _ in range(self.rnd.choice([0, 0, 1, 2, 3, 8]))]
        return "[" + f"{space(self.rnd)},".join(p[0] for p in pairs) + "]", [p[1] for p in pairs]

    def map(self, t):
        keys = {self.map_key(t[1][0]) for _ in range(self.rnd.choice([0, 1, 2, 5]))}
        pairs = [(k, *self.value(t[2])) for k in sorted(keys)]
        return self.object_text([(str(k), v) for k, v, _ in pairs]), {k: want for k, _, want in pairs}

    def map_key(self, kind):
        if kind != "string":
            return self.rnd.randrange(-2**31, 2**31)
        return text(self.rnd)

    def boolean(self, _):
        x = self.rnd.random() < 0.5
        return self.rnd.choice([str(x).lower()] * 8 + [f'"{x}"', f'"{str(x).upper()}"']), x

    def integer(self, t):
        bits = columns.INT_BITS[t[0]]
        edge = 1 << bits - 1
        x = self.rnd.choice([0, 1, -1, edge - 1, -edge, self.rnd.randrange(-edge, edge), self.rnd.randrange(-100, 100)])
        return self.rnd.choice([str(x)] * 8 + [f'"{x}"', f"{x}.0", f'"0x{x:x}"' if x >= 0 else str(x)]), x

    def double(self, _):
        x = self.rnd.choice([0.0, 1.5, -1e-300, 1.7976931348623157e308, 5e-324, 0.1, 1e22, float(self.rnd.randint(-10**6, 10**6)),
                             self.rnd.uniform(-1e9, 1e9), self.rnd.gauss(0, 1)])
        return self.rnd.choice([repr(x), repr(x).upper(), "%.25e" % x]), x

    def float(self, _):
        x = columns.single(self.rnd.choice([0.0, -2.5, 3.4028234e38, 1e-45, self.rnd.uniform(-1e6, 1e6), self.rnd.gauss(0, 1)]))
        return repr(x), x

    def string(self, _):
        if self.rnd.random() < 0.1:  # scalars and more become text
            return self.rnd.choice([("12", "12"), ("-1.50e3", "-1.50e3"), ("true", "true"), ("false", "false"),
                                    ('{"a": [1, null]}', columns.JsonText({"a": [columns.Number("1"), None]})),
                                    ('["\\u00e9", {}]', columns.JsonText(["é", {}]))])
        x = text(self.rnd)
        return written(self.rnd, x), x

    def decimal(self, t):
        _, precision, scale = t
        digits = self.rnd.randint(0, 10 ** self.rnd.randint(0, precision) - 1)
        x = decimal.Decimal(digits).scaleb(-scale, decimal.Context(prec=60))
        x = x.copy_negate() if self.rnd.random() < 0.5 else x
        plain = f"{x:f}"
        return self.rnd.choice([plain, f'"{plain}"']), x

    def date(self, _):
        x = datetime.date.fromordinal(self.rnd.choice([1, 577735, 577736, 719163, 693596, 3652059, self.rnd.randint(700000, 760000)]))
        return f'"{x.isoformat()}"', x

    def timestamp(self, _):
        rnd = self.rnd
        micros = rnd.choice([0, 1, 999_999, 1_000_000_000_000_000, rnd.randrange(0, 4 * 10**15), rnd.randrange(-8 * 10**15, 0)])
        exact = rnd.random() < 0.5
        if exact:
            micros -= micros % 1_000_000
        at = datetime.datetime(1970, 1, 1, tzinfo=columns.UTC) + datetime.timedelta(microseconds=micros)
        step = UNITS[self.unit]
        want = at.replace(microsecond=at.microsecond // step * step)
        day, clock = at.strftime("%Y-%m-%d"), at.strftime("%H:%M:%S")
        fraction = "" if exact else f".{at.microsecond:06d}" if rnd.random() < 0.5 or at.microsecond % 1000 else f".{at.microsecond // 1000:03d}"
        forms = [f'"{day}T{clock}{fraction}Z"', f'"{day} {clock}{fraction}"']
        if exact and 10**9 <= micros // 10**6 < 10**11:
            forms += [str(micros // 10**6), str(micros // 1000)]
        return rnd.choice(forms), want
