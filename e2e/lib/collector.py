"""A stream with the destination splunk and the strict double that it delivers to, in one of the ways that a collector may be set up."""
import collections
import json
import re

import search
from doubles import Doubles
from harness import FileStore, check, wait_for

TOKEN, AT_ONCE, REQUEST = "the-token", 50, 500
EVENT_ID = re.compile(r"[0-9a-f]+\.\d+\.\d+")


class Collector:
    """taken counts what the collector has of each record; the records of a step have a number m, each once."""

    def __init__(self, folder, endpoint, acks, **more):
        self.endpoint, self.acks, self.name = endpoint, acks, f"{endpoint}-{'acks' if acks else 'plain'}"
        self.end = Doubles(folder, token=TOKEN, acks="true" if acks else "false")
        self.next_m, self.requests, self.refused = 0, 0, {}
        destination = {"url": self.end.hec, "token": TOKEN, "endpoint": endpoint, "ack_timeout": "2s" if acks else "0s", "timeout": "2s",
                       "request": {"records": REQUEST}, **more}
        self.stream = {"name": self.name, "buffer": {"size": "1MB", "interval": "0s"}, "retry": {"for": "7200s"},
                       "backup": {"s3": {"bucket": search.FAILED, "prefix": f"{self.name}/"}}, "destination": {"splunk": destination}}

    def use(self, daemon):
        self.daemon = daemon

    def put(self, some=AT_ONCE, among=()):
        """Sends new records as one put, which is one batch and one request; others stand in their midst. Returns their numbers."""
        self.requests = self.end.stats()["hec_requests"]
        numbers = range(self.next_m, self.next_m + some)
        self.next_m += some
        lines = [b'{"m":%d}' % m for m in numbers]
        lines[some // 2:some // 2] = among
        status, _, answer = self.daemon.v1(self.name, b"\n".join(lines))
        check(status == 200, f"{self.name}: {status} {answer}")
        return numbers

    def taken(self, key="m"):
        events = (json.loads(x) for x in self.end.events() if x.startswith(b'{"%s"' % key.encode()))
        return collections.Counter(e[key] for e in events)

    def copies(self, numbers):
        """How often each of them was taken; all the same number of times, or the step is not what it should be."""
        counts = self.taken()
        got = {counts[m] for m in numbers}
        check(len(got) == 1, f"{self.name}: of {len(numbers)} records of one request some were taken {sorted(got)} times")
        return got.pop()

    def sent(self):
        """Requests since the last put."""
        return self.end.stats()["hec_requests"] - self.requests

    def waiting(self):
        return sum(v for k, v in self.daemon.metrics().items() if k.startswith("hydrant_backlog_records") and f'stream="{self.name}"' in k)

    def settle(self, seconds=40):
        wait_for(f"{self.name}: nothing waits any more", lambda: self.waiting() == 0, seconds, every=0.05)

    def until_taken(self, numbers, times=1):
        last = numbers[-1]
        wait_for(f"{self.name}: the request was taken {times} times", lambda: self.taken()[last] >= times, 20, every=0.02)

    def expect(self, what, numbers, copies, requests=None):
        self.settle()
        got, sent = self.copies(numbers), self.sent()
        check(got in copies, f"{self.name}, {what}: the records were taken {got} times in {sent} requests")
        check(requests in (None, sent), f"{self.name}, {what}: {sent} requests, {requests} expected")

    def aside(self, raw, code):
        """A record that is to end in the backup."""
        self.refused[raw] = code

    def verify_aside(self):
        errors = search.errors(FileStore(self.daemon.data_dir), self.name, "splunk-failed")
        got = {e["rawData"]: e["errorCode"] for e in errors}
        check(got == self.refused and len(errors) == len(got), f"{self.name}: set aside are {got}, expected {self.refused}")
        check(all(EVENT_ID.fullmatch(e["EventId"]) for e in errors), f"{self.name}: {errors[:2]}")
        check(len({e["EventId"] for e in errors}) == len(errors), f"{self.name}: two records have one EventId")
