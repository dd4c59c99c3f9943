#!/usr/bin/env python3
"""Reads one file per codec with readers that are not ours and compares it with the plain file.

usage: check_codecs.py PLAIN [CODEC=FILE ...]      codecs: gzip snappy hadoop-snappy zip zstd

gzip and zip are read by Python's standard library, zstd by `zstandard` (libzstd), snappy by
`cramjam` (the Rust implementation) under container code of this file's own.
"""
import gzip
import struct
import sys
import zipfile


def read_gzip(name):
    with open(name, "rb") as f:
        head = f.read(10)
    assert head[3] == 0 and head[4:8] == bytes(4), f"gzip header carries a name or a time: {head.hex()}"
    with gzip.open(name) as f:
        return f.read()


def read_zip(name):
    with zipfile.ZipFile(name) as z:
        assert z.testzip() is None, "checksum of the entry is wrong"
        entries = z.infolist()
        assert len(entries) == 1, f"{len(entries)} entries"
        assert entries[0].date_time == (1980, 1, 1, 0, 0, 0), entries[0].date_time
        return z.read(entries[0])


def read_zstd(name):
    import zstandard

    with open(name, "rb") as f:
        return zstandard.ZstdDecompressor().stream_reader(f).read()


def raw_snappy(block):
    import cramjam

    return bytes(cramjam.snappy.decompress_raw(block))


def word(data, at):
    return struct.unpack_from(">I", data, at)[0]


def read_snappy(name):
    data = open(name, "rb").read()
    assert data[:16] == b"\x82SNAPPY\x00" + struct.pack(">II", 1, 1), data[:16].hex()
    out, at = [], 16
    while at < len(data):
        n = word(data, at)
        out.append(raw_snappy(data[at + 4 : at + 4 + n]))
        assert len(out[-1]) <= 32 * 1024, "a block is larger than 32 KiB"
        at += 4 + n
    return b"".join(out)


def read_hadoop_snappy(name):
    data = open(name, "rb").read()
    out, at = [], 0
    while at < len(data):
        left, at = word(data, at), at + 4
        while left > 0:
            n = word(data, at)
            out.append(raw_snappy(data[at + 4 : at + 4 + n]))
            left, at = left - len(out[-1]), at + 4 + n
        assert left == 0, "a chunk is larger than its block"
    return b"".join(out)


READERS = {"gzip": read_gzip, "zip": read_zip, "zstd": read_zstd, "snappy": read_snappy, "hadoop-snappy": read_hadoop_snappy}


def main(args):
    if len(args) < 2:
        sys.exit(__doc__)
    plain = open(args[0], "rb").read()
    failed = 0
    for arg in args[1:]:
        codec, _, name = arg.partition("=")
        try:
            same = READERS[codec](name) == plain
        except Exception as e:  # any reader's complaint is a failed check
            print(f"{codec}: {name}: {type(e).__name__}: {e}")
            same = False
        print(f"{codec}: {'ok' if same else 'DIFFERS'}")
        failed += not same
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
