"""The 231,083 real flight records, as the bytes that stand in the file."""
import collections
import os
import zlib

from harness import CACHE, check

COUNT = 231083


def load(limit=None):
    """Source bytes of each record, in file order."""
    with open(os.path.join(CACHE, "flights-200k.json"), "rb") as f:
        raw = f.read().strip()
    check(raw.startswith(b"[{") and raw.endswith(b"}]"), "flights-200k.json does not look as expected")
    records = [b"{" + r + b"}" for r in raw[2:-2].split(b"},{")]
    check(len(records) == COUNT, f"{len(records)} flights, expected {COUNT}")
    return records[:limit]


def producer_of(line, producers):
    """Equal bytes always go to the same producer, so that order can be checked although records repeat."""
    return zlib.crc32(line) % producers


def split(records, producers):
    """One list for each producer, in file order."""
    lists = [[] for _ in range(producers)]
    for r in records:
        lists[producer_of(r, producers)].append(r)
    return lists


def compare(lists, got):
    """Every record once, byte for byte, and in the order in which its producer sent it."""
    sent = collections.Counter(r for part in lists for r in part)
    have = collections.Counter(got)
    missing, extra = sent - have, have - sent
    check(not missing, f"{missing.total()} records missing, such as {next(iter(missing), None)}")
    check(not extra, f"{extra.total()} records too many, such as {next(iter(extra), None)}")
    for i, part in enumerate(split(got, len(lists))):
        if part != lists[i]:
            at = next(k for k, (a, b) in enumerate(zip(part, lists[i])) if a != b)
            check(False, f"producer {i}: order broken at its record {at}: {part[at]} instead of {lists[i][at]}")
