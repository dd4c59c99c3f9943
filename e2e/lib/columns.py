"""Column types, and what must stand in a column of a type for a JSON value: written from the documents, not from the daemon.

A type is (kind, argument...): ("bigint",), ("decimal", precision, scale), ("array", T), ("map", K, V), ("struct", (name, T), ...).
"""
import datetime
import decimal
import json
import struct

import pyarrow as pa

INT_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
UTC = datetime.timezone.utc


class Refused(Exception):
    """A value that does not fit its column."""


class Number(str):
    """A JSON number as it is written."""


class Nothing:
    """What says nothing of its type, such as [] or {"a": null}: an inferred file may not know its column yet, so null is as good."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return f"{self.value!r} or null"

    def fits(self, got):
        if isinstance(got, str):  # of a string column: the text of such a value
            return empty(load(got))
        return not got or all(x is None or self.fits(x) for x in (got.values() if isinstance(got, dict) else got))


class JsonText:
    """A string that must hold this JSON value."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return f"JSON text of {self.value!r}"


def load(text):
    """JSON with its numbers as they are written."""
    return json.loads(text, parse_int=Number, parse_float=Number)


def hive(t):
    """The Hive name of a type."""
    kind, *args = t
    if kind == "decimal":
        return f"decimal({args[0]},{args[1]})"
    if kind in ("array", "map"):
        return f"{kind}<{','.join(map(hive, args))}>"
    if kind == "struct":
        return "struct<" + ",".join(f"{name}:{hive(x)}" for name, x in args) + ">"
    return kind


def of_arrow(t):
    """The type of a column that pyarrow read."""
    if pa.types.is_list(t):
        return ("array", of_arrow(t.value_type))
    if pa.types.is_map(t):
        return ("map", of_arrow(t.key_type), of_arrow(t.item_type))
    if pa.types.is_struct(t):
        return ("struct", *((t.field(i).name, of_arrow(t.field(i).type)) for i in range(t.num_fields)))
    if pa.types.is_decimal(t):
        return ("decimal", t.precision, t.scale)
    if pa.types.is_timestamp(t):
        return ("timestamp",)
    names = {"bool": "boolean", "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "float": "float",
             "double": "double", "string": "string", "binary": "binary", "date32[day]": "date"}
    return (names[str(t)],)


def single(x):
    """The nearest float of 32 bits."""
    return struct.unpack("f", struct.pack("f", x))[0]


def expect(v, t, inferred=False):
    """What must be read back for a JSON value (as load gives it) from a column of type t.

    Inferred columns take what the rules of formats/infer name and convert nothing.
    """
    if v is None:
        return None
    if inferred and empty(v):
        return Nothing(v)
    kind, *args = t
    if kind == "string" and isinstance(v, (dict, list)):
        return JsonText(v)
    if kind == "struct":
        return _object(v, args, inferred)
    if kind == "map":
        if not isinstance(v, dict):
            raise Refused(f"{v!r} in a map")
        return {expect(k, args[0]): expect(x, args[1]) for k, x in v.items()}
    if kind == "array":
        if not isinstance(v, list):
            raise Refused(f"{v!r} in an array")
        return [expect(x, args[0], inferred) for x in v]
    if isinstance(v, (dict, list)):
        raise Refused(f"{v!r} in a column of {kind}")
    if kind == "string":
        return str(v).lower() if isinstance(v, bool) else str(v)
    if isinstance(v, bool) != (kind == "boolean") or inferred and kind != "boolean" and not isinstance(v, Number):
        raise Refused(f"{v!r} in a column of {kind}")
    if inferred and kind == "double" and v.lstrip("-").isdigit() and int(v) != int(float(v)):
        raise Refused(f"{v} is not exact as a double")
    return v if kind == "boolean" else _scalar(v, kind, args)


def _object(v, fields, inferred):
    if not isinstance(v, dict):
        raise Refused(f"{v!r} in a struct")
    by_name = {k.lower(): x for k, x in v.items()}
    return {name: expect(by_name.get(name.lower()), t, inferred) for name, t in fields}


def learnable(v, t):
    """Do the rules of inference let a JSON value into columns that have become t, whenever it came?

    Not said of an object or array where the column has become text: before it was text, it was refused.
    """
    try:
        want = expect(v, t, inferred=True)
    except Refused:
        return False
    return not forgotten(v, t) and not _holds_text(want)


def _holds_text(want):
    if isinstance(want, dict):
        return any(map(_holds_text, want.values()))
    if isinstance(want, list):
        return any(map(_holds_text, want))
    return isinstance(want, JsonText)


def _scalar(v, kind, args):
    try:
        if kind in INT_BITS:
            n, half = int(v), 1 << INT_BITS[kind] - 1
            if not -half <= n < half:
                raise Refused(f"{v} in a column of {kind}")
            return n
        if kind in ("float", "double"):
            x = single(float(v)) if kind == "float" else float(v)
            if x in (float("inf"), float("-inf")):
                raise Refused(f"{v} in a column of {kind}")
            return x
        if kind == "decimal":
            return decimal.Decimal(v).quantize(decimal.Decimal(1).scaleb(-args[1]))
        if kind == "date":
            return datetime.date.fromisoformat(v)
        if kind == "timestamp":
            return timestamp(v)
    except (ValueError, decimal.InvalidOperation) as e:
        raise Refused(f"{v!r} in a column of {kind}: {e}") from e
    raise Refused(f"{v!r} in a column of {kind}")


def timestamp(v):
    """ISO 8601, or epoch seconds or milliseconds by the number of digits."""
    if isinstance(v, Number):
        ms = decimal.Decimal(v) * (1 if len(v.split(".")[0].lstrip("-")) >= 13 else 1000)
        return datetime.datetime(1970, 1, 1, tzinfo=UTC) + datetime.timedelta(milliseconds=int(ms))
    got = datetime.datetime.fromisoformat(v)
    got = got.replace(tzinfo=UTC) if got.tzinfo is None else got.astimezone(UTC)
    return got.replace(microsecond=got.microsecond // 1000 * 1000)


def same(got, want):
    """Is what a reader gave (as pyarrow turns it into Python) what expect said?"""
    if isinstance(want, Nothing):
        return want.fits(got)
    if isinstance(want, JsonText):
        return isinstance(got, str) and load(got) == want.value
    if isinstance(want, dict):
        got = dict(got) if isinstance(got, list) else got
        return isinstance(got, dict) and got.keys() == want.keys() and all(same(got[k], x) for k, x in want.items())
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(same, got, want))
    if isinstance(want, datetime.datetime):
        return isinstance(got, datetime.datetime) and (got if got.tzinfo else got.replace(tzinfo=UTC)) == want
    return got == want and isinstance(got, type(want))


def where(got, want, path=""):
    """The first part in which two values differ, for a message."""
    if isinstance(got, list) and isinstance(want, dict):
        got = dict(got)
    if isinstance(want, dict) and isinstance(got, dict):
        keys = [k for k in [*want, *got] if k not in got or k not in want or not same(got[k], want[k])]
        if keys and keys[0] in got and keys[0] in want:
            return where(got[keys[0]], want[keys[0]], f"{path}.{keys[0]}")
        if keys:
            return f"{path}: {keys[0]!r} is {'missing' if keys[0] in want else 'too much'}"
    if isinstance(want, list) and isinstance(got, list) and len(got) == len(want):
        i = next(i for i in range(len(want)) if not same(got[i], want[i]))
        return where(got[i], want[i], f"{path}[{i}]")
    return f"{path}: {got!r} instead of {want!r}"[:800]


def parse(text):
    """The type of a Hive name, as hive prints them."""
    got, rest = _parse(text.replace(" ", ""))
    if rest:
        raise ValueError(f"{rest!r} behind the type {text!r}")
    return got


def _parse(text):
    end = next((i for i, c in enumerate(text) if c in "<>(),:"), len(text))
    kind, rest = text[:end], text[end:]
    if kind == "decimal":
        args, _, rest = rest[1:].partition(")")
        return ("decimal", *map(int, args.split(","))), rest
    if kind not in ("array", "map", "struct"):
        return (kind,), rest
    args = []
    while rest[0] != ">":
        name, rest = None, rest[1:]  # behind "<" or ","
        if kind == "struct":
            name, _, rest = rest.partition(":")
        part, rest = _parse(rest)
        args.append(part if name is None else (name, part))
    return (kind, *args), rest[1:]


def table_type(schema):
    """The type of the rows of a table that pyarrow read."""
    return ("struct", *((f.name, of_arrow(f.type)) for f in schema))


def forgotten(v, t, where=""):
    """The first path of a JSON value that says something and for which the type has no place; None if there is none."""
    kind, *args = t
    if kind == "struct" and isinstance(v, dict):
        fields = {name.lower(): x for name, x in args}
        for k, x in v.items():
            if k.lower() not in fields:
                if not empty(x):
                    return f"{where}.{k}"
            elif lost := forgotten(x, fields[k.lower()], f"{where}.{k}"):
                return lost
    if kind == "array" and isinstance(v, list):
        return next(filter(None, (forgotten(x, args[0], where + "[]") for x in v)), None)
    return None


def empty(v):
    """Does a JSON value tell nothing of its type?"""
    if isinstance(v, dict):
        return all(map(empty, v.values()))
    return v is None or (isinstance(v, list) and all(map(empty, v)))
