"""Basic auth, a client certificate and SigV4 through an endpoint that checks them: the right one delivers; the wrong one is refused, loudly,
and when its file is corrected in place the backlog is delivered without a restart. Nothing secret is told."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flights
import lake
import search
from harness import ACCESS_KEY, REGION, SECRET_KEY, Daemon, check, running, wait_for, workspace
from opensearch import OpenSearch
from tlsproxy import Basic, Certificates, SigV4, TlsProxy

SOME = 500


def write(path, text):
    with open(path + ".new", "w") as f:
        f.write(text + "\n")
    os.rename(path + ".new", path)


def main():
    lines = flights.load(SOME)
    with workspace("opensearch-auth") as folder:
        node, certs = OpenSearch(folder), Certificates(folder)
        basic = TlsProxy(certs, node.port, [Basic("admin", "the-right-password")])
        mutual = TlsProxy(certs, node.port, [], client_certificates=True)
        signed = TlsProxy(certs, node.port, [SigV4(access_key=ACCESS_KEY, secret_key=SECRET_KEY, region=REGION, service="es")])
        other = TlsProxy(certs, node.port, [SigV4(access_key=ACCESS_KEY, secret_key="another-secret", region=REGION, service="es")])
        password = os.path.join(folder, "password")
        write(password, "a-wrong-password")
        for p in (basic, mutual, signed, other):
            p.start()
        tls = {"ca_file": certs.ca}
        streams = [search.stream("basic", basic.url, {"username": "admin", "password": "file:" + password, "tls": tls}),
                   search.stream("mutual", mutual.url, {"tls": {**tls, "cert_file": certs.client, "key_file": certs.client_key}}),
                   search.stream("stranger", mutual.url, {"tls": {**tls, "cert_file": certs.stranger, "key_file": certs.stranger_key}}, retry={"for": "2s"}),
                   search.stream("signed", signed.url, {"sigv4": {"service": "es"}, "tls": tls}),
                   search.stream("missigned", other.url, {"sigv4": {"service": "es"}, "tls": tls}, retry={"for": "2s"}),
                   search.stream("distrusted", basic.url, {"username": "admin", "password": "the-right-password"}, retry={"for": "2s"})]
        daemon = Daemon(folder, streams, "file")
        with running(daemon, node):
            node.start()
            daemon.start()
            lake.in_threads([lambda s=s: lake.send(daemon, s["name"], lines) for s in streams])
            for name in ("mutual", "signed"):
                wait_for(f"{name} is delivered", lambda: node.count(name) == SOME, 60, every=0.5)
            told = wait_for("the wrong password is told", lambda: (d := search.delivery(daemon, "basic")).get("retrying") and d, 30)
            check(told["code"] == "OpenSearch.AuthFailure", f"basic: {told}")
            check(node.count("basic") == 0, "documents came through with the wrong password")
            metric = 'hydrant_delivery_retries_total{code="OpenSearch.AuthFailure",role="main",stream="basic"}'
            check(daemon.metrics().get(metric, 0) > 0, "the retries are not counted")
            write(password, "the-right-password")
            wait_for("basic is delivered", lambda: node.count("basic") == SOME, 60, every=0.5)
            lake.drain(daemon, 60)
            for name in ("stranger", "missigned", "distrusted"):
                check(node.count(name) == 0, f"{name}: documents came through")
            daemon.stop()
            log = daemon.process.log()
            for secret in ("the-right-password", "a-wrong-password", SECRET_KEY):
                check(secret not in log, f"{secret} stands in the log")
            failed = os.path.join(daemon.data_dir, "s3", search.FAILED)
            check({"stranger", "missigned", "distrusted"} <= set(os.listdir(failed)), f"backup holds {os.listdir(failed)}")
            check(basic.refused["basic"] > 0 and other.refused["sigv4"] > 0, f"{basic.refused} {other.refused}")
            print(f"passed {basic.passed} {mutual.passed} {signed.passed}, refused {basic.refused} {mutual.refused} {other.refused}")
        for p in (basic, mutual, signed, other):
            p.stop()


main()
