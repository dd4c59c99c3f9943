"""Basic auth, a client certificate and SigV4 through endpoints that check them: the right one delivers; the wrong one is refused, and told by its
code; when it is mended the backlog is delivered, of basic auth and SigV4 without a restart. Nothing secret is told or kept."""
import base64
import os
import shutil
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flights
import lake
import search
from harness import ACCESS_KEY, REGION, SECRET_KEY, S3, Daemon, check, running, wait_for, workspace
from opensearch import OpenSearch
from tlsproxy import Basic, Certificates, SigV4, TlsProxy

SOME = 500
USER, RIGHT, WRONG, OTHER_KEY = "admin", "the-right-password", "a-wrong-password", "another-secret-key"
AUTH = "OpenSearch.AuthFailure"
GOOD = ("right", "mutual", "signed")
REFUSED = {"basic": (AUTH, "401"), "missigned": (AUTH, "403"), "stranger": (AUTH, "certificate"),
           "distrusted": ("OpenSearch.SSLUnverified", "certificate")}
GIVEN_UP = "given-up"


class Case:
    def __init__(self, folder):
        self.folder, self.s3, self.node, self.certs = folder, S3(folder), OpenSearch(folder), Certificates(folder)
        self.basic = TlsProxy(self.certs, self.node.port, [Basic(USER, RIGHT)])
        self.mutual = TlsProxy(self.certs, self.node.port, client_certificates=True)
        self.signed = TlsProxy(self.certs, self.node.port, [SigV4(ACCESS_KEY, SECRET_KEY, REGION)])
        self.other = TlsProxy(self.certs, self.node.port, [SigV4(ACCESS_KEY, OTHER_KEY, REGION)])
        self.proxies = [p.start() for p in (self.basic, self.mutual, self.signed, self.other)]
        self.password = self.secret("password", WRONG)
        self.copied = [self.copy(self.certs.stranger, "mine.pem"), self.copy(self.certs.stranger_key, "mine.key")]
        self.authority = self.copy(self.certs.other_ca, "ca.pem")
        streams = self.streams()
        self.names = [s["name"] for s in streams]
        self.daemon = Daemon(folder, streams, "s3", self.s3)

    def path(self, name):
        return os.path.join(self.folder, name)

    def secret(self, name, text):
        """A file of a secret, written as a rotation does it: beside, then renamed."""
        with open(self.path(name) + ".new", "w") as f:
            f.write(text + "\n")
        os.rename(self.path(name) + ".new", self.path(name))
        return "file:" + self.path(name)

    def copy(self, source, name):
        return shutil.copy(source, self.path(name))

    def streams(self):
        tls, sigv4, right = {"ca_file": self.certs.ca}, {"sigv4": {"service": "es"}}, self.secret("right-password", RIGHT)
        wrong = self.secret("wrong-password", WRONG)
        mine = dict(zip(("cert_file", "key_file"), self.copied))
        client = {"cert_file": self.certs.client, "key_file": self.certs.client_key}
        return [search.stream("right", self.basic.url, {"username": USER, "password": right, "tls": tls}),
                search.stream("basic", self.basic.url, {"username": USER, "password": self.password, "tls": tls}),
                search.stream("mutual", self.mutual.url, {"tls": {**tls, **client}}),
                search.stream("stranger", self.mutual.url, {"tls": {**tls, **mine}}),
                search.stream("signed", self.signed.url, {**sigv4, "tls": tls}),
                search.stream("missigned", self.other.url, {**sigv4, "tls": tls}),
                search.stream("distrusted", self.basic.url, {"username": USER, "password": right, "tls": {"ca_file": self.authority}}),
                search.stream(GIVEN_UP, self.basic.url, {"username": USER, "password": wrong, "tls": tls}, retry={"for": "2s"})]

    def delivered(self, name):
        wait_for(f"{name} is delivered", lambda: self.node.count(name) == SOME, 60, every=0.25)

    def told(self, name, code, detail):
        """/readyz says that it is tried again, and why."""
        words = wait_for(f"{name} is told", lambda: (w := search.words(self.daemon, name)) and code in w and w, 30)
        check("retrying main" in words and detail in words, f"{name}: /readyz says {words!r}")
        check(self.node.count(name) == 0, f"{name}: documents came through")

    def grow(self, name):
        """The refusals are counted, and go on."""
        metric = f'hydrant_delivery_retries_total{{code="{AUTH}",role="main",stream="{name}"}}'
        first = wait_for("a retry is counted", lambda: self.daemon.metrics().get(metric), 30)
        wait_for("another retry is counted", lambda: self.daemon.metrics()[metric] > first, 60)

    def mend(self):
        """A new password in place, a service that knows the key; the files of tls are read when the daemon starts."""
        self.secret("password", RIGHT)
        self.delivered("basic")
        self.other.checks[:] = self.signed.checks
        self.delivered("missigned")
        self.copy(self.certs.client, "mine.pem")
        self.copy(self.certs.client_key, "mine.key")
        self.copy(self.certs.ca, "ca.pem")
        self.daemon.kill()
        self.daemon.start()
        self.delivered("stranger")
        self.delivered("distrusted")

    def said(self):
        """All that the daemon tells people."""
        out = [self.daemon.process.log()]
        for page in ("/readyz", "/api/streams", "/metrics"):
            with urllib.request.urlopen(self.daemon.admin + page, timeout=10) as r:
                out.append(r.read().decode())
        return "\n".join(out)

    def silent(self, said):
        """Neither what is told, nor the data directory, nor an error object holds a secret."""
        kept = [f"{folder}/{n}" for folder, _, names in os.walk(self.daemon.data_dir) for n in names]
        places = {"what is told": said.encode(), **{p: open(p, "rb").read() for p in kept}, **dict(self.s3.objects(search.FAILED))}
        secrets = [RIGHT, WRONG, SECRET_KEY, OTHER_KEY, *(base64.b64encode(f"{USER}:{p}".encode()).decode() for p in (RIGHT, WRONG))]
        for place, content in places.items():
            for secret in secrets:
                check(secret.encode() not in content, f"{secret} stands in {place}")


def main():
    lines = flights.load(SOME)
    with workspace("opensearch-auth") as folder:
        case = Case(folder)
        daemon, node, s3 = case.daemon, case.node, case.s3
        with running(daemon, node, s3):
            s3.start().make_bucket(search.FAILED)
            node.start()
            daemon.start()
            lake.in_threads([lambda n=n: lake.send(daemon, n, lines) for n in case.names])
            for name in GOOD:
                case.delivered(name)
            for name, (code, detail) in REFUSED.items():
                case.told(name, code, detail)
            lake.in_threads([lambda n=n: case.grow(n) for n in ("basic", "missigned")])
            said = case.said()
            case.mend()
            lake.drain(daemon, 60)
            said += case.said()
            daemon.stop()
            case.silent(said + daemon.process.log())
            aside = s3.objects(search.FAILED)
            check(all(k.startswith(GIVEN_UP + "/") for k, _ in aside), f"the backup holds {[k for k, _ in aside]}")
            errors = search.errors(s3, GIVEN_UP)
            check(sorted(e["rawData"] for e in errors) == sorted(lines) and all(e["errorCode"] == AUTH for e in errors), f"{len(errors)} given up")
            check(node.count(GIVEN_UP) == 0, "documents came through with a wrong password")
            check(case.basic.refused["basic"] > 2 and case.other.refused["sigv4"] > 2 and case.mutual.refused["certificate"] > 2, "too few refusals")
            check(not case.signed.refused, f"the right signature was refused: {list(case.signed.reasons)}")
            print("; ".join(f"{n}: passed {p.passed}, refused {dict(p.refused)}" for n, p in zip(("basic", "mutual", "signed", "other"), case.proxies)))
        for p in case.proxies:
            p.stop()


main()
