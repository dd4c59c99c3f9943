"""Unpacks objects with other people's readers."""
import gzip
import io
import zipfile

import snappy
import zstandard
from kafka.codec import snappy_decode


def _zip(body):
    with zipfile.ZipFile(io.BytesIO(body)) as z:
        bad = z.testzip()
        if bad:
            raise ValueError(f"zip: {bad} is damaged")
        return b"".join(z.read(n) for n in z.namelist())


def _zstd(body):
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body), read_across_frames=True) as r:
        return r.read()


def _hadoop_snappy(body):
    d = snappy.HadoopStreamDecompressor()
    out = d.decompress(body)
    d.flush()
    return out


def _xerial(body):
    """kafka-python falls back to one bare block when the container's magic is absent: here that is an error."""
    if not body.startswith(b"\x82SNAPPY\x00"):
        raise ValueError("snappy: no xerial header")
    return snappy_decode(body)


READERS = {"none": bytes, "gzip": gzip.decompress, "snappy": _xerial, "hadoop-snappy": _hadoop_snappy, "zip": _zip, "zstd": _zstd}
EXTENSIONS = {"none": "", "gzip": ".gz", "snappy": ".snappy", "hadoop-snappy": ".snappy", "zip": ".zip", "zstd": ".zst"}


def lines(objects, codec):
    """The records of newline-ended objects, in listing order."""
    out = []
    for key, body in objects:
        text = READERS[codec](body)
        if not text.endswith(b"\n"):
            raise ValueError(f"{key} does not end with a newline")
        out += text[:-1].split(b"\n")
    return out
