"""Numbered records sent a part at a time, so that something is under way whenever a case breaks something."""
import search
from harness import check, wait_for


class Parts:
    """Each part is sent in the background, whatever happens to the daemon, and is taken once."""

    def __init__(self, source, each):
        self.source, self.each = source, each
        check(each % search.AT_ONCE == 0 and len(source.lines) % each == 0, "parts are whole requests, and all of the records")

    def __len__(self):
        return len(self.source.lines) // self.each

    def send(self, n):
        def work():
            for at in range(n * self.each, (n + 1) * self.each, search.AT_ONCE):
                body = b"\n".join(map(self.source.record, range(at, at + search.AT_ONCE)))
                wait_for(f"record {at} is accepted", lambda: self.source.once(body, f"{self.source.name}-{at}", search.AT_ONCE), 60)

        return search.Background(work)


def retries(daemon, stream):
    """Attempts of this life of the daemon that failed."""
    return sum(v for k, v in daemon.metrics().items() if k.startswith("hydrant_delivery_retries_total") and f'stream="{stream}"' in k)
