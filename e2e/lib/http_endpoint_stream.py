"""A stream with the destination http, for the cases that need one."""
import search


def http_stream(name, url, destination=None, **more):
    return {"name": name, "buffer": {"size": "1MB", "interval": "1s"}, "retry": {"for": "7200s"},
            "backup": {"s3": {"bucket": search.FAILED, "prefix": f"{name}/"}}, "destination": {"http": {"url": url, **(destination or {})}}, **more}
