"""A TLS endpoint in front of a plain HTTP port of this machine that checks who asks, as a managed service does, and counts what it
let through and what it refused. It runs in threads of this process."""
import base64
import collections
import datetime
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from harness import ACCESS_KEY, MB, REGION, SECRET_KEY, check

HANDSHAKE_SECONDS, UPSTREAM_SECONDS, MAX_SKEW = 20, 120, datetime.timedelta(minutes=5)
MAX_BODY = 128 * MB
HOP_BY_HOP = {"connection", "content-length", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
              "transfer-encoding", "upgrade"}
AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 +Credential=([^/, ]+)/(\d{8})/([^/, ]+)/([^/, ]+)/aws4_request, *SignedHeaders=([^, ]+), *"
                           r"Signature=([0-9a-f]{64})")
OPENSSL = """[req]
distinguished_name = name
prompt = no
[name]
CN = e2e
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
subjectAltName = IP:127.0.0.1, IP:::1, DNS:localhost
extendedKeyUsage = serverAuth
[client]
extendedKeyUsage = clientAuth
"""

Request = collections.namedtuple("Request", "method target headers body")
Refusal = collections.namedtuple("Refusal", "status kind reason")


class Certificates:
    """A CA of its own for one case, and what it signed: server, client. stranger is a client that another CA signed.
    Each has a path NAME (the certificate) and a path NAME_key, in PEM."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "certificates")
        os.makedirs(self.folder)
        with open(self._path("openssl.cnf"), "w") as f:
            f.write(OPENSSL)
        self.ca, self.ca_key = self._authority("ca")
        self.server, self.server_key = self._signed("server", "server", "ca")
        self.client, self.client_key = self._signed("client", "client", "ca")
        self.other_ca, self.other_ca_key = self._authority("other-ca")
        self.stranger, self.stranger_key = self._signed("stranger", "client", "other-ca")

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _openssl(self, *args):
        p = subprocess.run(["openssl", *args], capture_output=True, text=True, timeout=60, cwd=self.folder)
        check(p.returncode == 0, f"openssl {args[0]}: {p.stderr[-2000:]}")

    def _new_key(self, name):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name + ".key")

    def _authority(self, name):
        self._new_key(name)
        self._openssl("req", "-x509", "-new", "-config", "openssl.cnf", "-extensions", "ca", "-key", name + ".key", "-subj", f"/CN=e2e {name}",
                      "-days", "2", "-out", name + ".pem")
        return self._path(name + ".pem"), self._path(name + ".key")

    def _signed(self, name, kind, authority):
        self._new_key(name)
        self._openssl("req", "-new", "-config", "openssl.cnf", "-key", name + ".key", "-subj", f"/CN=e2e {name}", "-out", name + ".csr")
        self._openssl("x509", "-req", "-in", name + ".csr", "-CA", authority + ".pem", "-CAkey", authority + ".key", "-CAcreateserial",
                      "-extfile", "openssl.cnf", "-extensions", kind, "-days", "2", "-out", name + ".pem")
        return self._path(name + ".pem"), self._path(name + ".key")


class Basic:
    """Requires HTTP basic authentication with this user and password."""

    def __init__(self, user, password):
        self.want = b"Basic " + base64.b64encode(f"{user}:{password}".encode())

    def __call__(self, request):
        got = request.headers.get("Authorization", "")
        if not hmac.compare_digest(got.encode(errors="replace"), self.want):
            return Refusal(401, "basic", "wrong user or password" if got else "no Authorization")
        return None


class Signer(botocore.auth.SigV4Auth):
    """Signs every header that it is given: what is to be signed, the client has said."""

    def headers_to_sign(self, request):
        return request.headers


class SigV4:
    """Requires AWS Signature Version 4 in the header Authorization, by recomputing it. token: the session token of temporary keys."""

    def __init__(self, access_key=ACCESS_KEY, secret_key=SECRET_KEY, region=REGION, service="es", token=None):
        self.access_key, self.scope, self.token = access_key, (region, service), token
        self.signer = Signer(botocore.credentials.Credentials(access_key, secret_key), service, region)

    def __call__(self, request):
        reason = self.fault(request)
        return Refusal(403, "sigv4", reason) if reason else None

    def fault(self, request):
        """Why the request is refused; None when it is not."""
        found = AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if not found:
            return "no AWS4-HMAC-SHA256 Authorization"
        key, day, region, service, signed, signature = found.groups()
        names = signed.split(";")
        reason = self._identity_fault(key, (region, service), request.headers) or date_fault(day, request.headers)
        reason = reason or headers_fault(names, request.headers) or payload_fault(request)
        if reason:
            return reason
        same = hmac.compare_digest(self._signature(request, names), signature)
        return None if same else "the signature does not match"

    def _identity_fault(self, key, scope, headers):
        if key != self.access_key:
            return "unknown access key"
        if scope != self.scope:
            return f"signed for {'/'.join(scope)} instead of {'/'.join(self.scope)}"
        if headers.get("X-Amz-Security-Token") != self.token:
            return "wrong session token"
        return None

    def _signature(self, request, names):
        """Over the query as the service sees it, decoded and encoded anew, not as the client happened to write it."""
        path, _, query = request.target.partition("?")
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
        query = "&".join(f"{quoted(k)}={quoted(v)}" for k, v in pairs)
        r = botocore.awsrequest.AWSRequest(request.method, f"https://host{path}?{query}", data=request.body)
        for name in names:
            for value in request.headers.get_all(name):
                r.headers.add_header(name, value)
        r.context["timestamp"] = request.headers["X-Amz-Date"]
        return self.signer.signature(self.signer.string_to_sign(r, self.signer.canonical_request(r)), r)


def quoted(text):
    return urllib.parse.quote(text, safe="-_.~")


def date_fault(day, headers):
    try:
        at = datetime.datetime.strptime(headers.get("X-Amz-Date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return "no X-Amz-Date"
    if at.strftime("%Y%m%d") != day:
        return "the date of the credential scope is not that of X-Amz-Date"
    if abs(datetime.datetime.now(datetime.timezone.utc) - at) > MAX_SKEW:
        return "signature expired"
    return None


def headers_fault(names, headers):
    missing = [n for n in names if n not in headers]
    if missing:
        return f"signed but not sent: {missing}"
    needed = {"host", *(n.lower() for n in headers if n.lower().startswith("x-amz-"))}
    unsigned = sorted(needed - set(names))
    return f"sent but not signed: {unsigned}" if unsigned else None


def payload_fault(request):
    """The header is optional for this service, the hash in the signature is not; but a header that says something else is refused."""
    claimed = request.headers.get("X-Amz-Content-Sha256")
    if claimed is not None and claimed != hashlib.sha256(request.body).hexdigest():
        return "X-Amz-Content-Sha256 is not the hash of the body"
    return None


class TlsProxy:
    """checks: Basic(...), SigV4(...), or any function of a Request that returns None or a Refusal; a list that may be changed while it
    runs. client_certificates: refuse who has none that the CA signed.

    passed counts the requests handed on, refused those that were not by kind: basic, sigv4; and connections: certificate (mTLS),
    handshake (any other, such as a client that does not trust the CA, or one that only looked whether the port is open).
    reasons holds the latest refusals."""

    process = None  # threads of this process: they end with it

    def __init__(self, certificates, upstream_port, checks=(), client_certificates=False):
        self.upstream_port, self.checks, self.context = upstream_port, list(checks), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates.server, certificates.server_key)
        self.context.load_verify_locations(certificates.ca)
        self.context.verify_mode = ssl.CERT_REQUIRED if client_certificates else ssl.CERT_NONE
        self.passed, self.refused, self.unreachable = 0, collections.Counter(), 0
        self.reasons = collections.deque(maxlen=100)
        self.lock, self.server, self.thread, self.port = threading.Lock(), None, None, 0

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def start(self):
        """The first start chooses the port; a later one takes it again."""
        self.server = Server(self)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()
        return self

    def stop(self):
        """Closes the port and every connection."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.server.cut()

    def judge(self, request):
        """The first refusal, else None; counted."""
        refusal = next(filter(None, (c(request) for c in list(self.checks))), None)
        if refusal:
            self.count_refusal(refusal.kind, refusal.reason)
        else:
            with self.lock:
                self.passed += 1
        return refusal

    def count_refusal(self, kind, reason):
        with self.lock:
            self.refused[kind] += 1
            self.reasons.append(f"{kind}: {reason}")

    def count_unreachable(self):
        with self.lock:
            self.unreachable += 1


class Server(http.server.ThreadingHTTPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def __init__(self, proxy):
        self.proxy, self.open = proxy, set()
        super().__init__(("127.0.0.1", proxy.port), Handler)

    def get_request(self):
        """The handshake is left to the connection's thread: here it would keep others from being accepted."""
        sock, address = super().get_request()
        sock.settimeout(HANDSHAKE_SECONDS)
        sock = self.proxy.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self.open.add(sock)
        return sock, address

    def finish_request(self, request, client_address):
        try:
            request.do_handshake()
        except OSError as e:
            certificate = isinstance(e, ssl.SSLError) and e.reason in ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "CERTIFICATE_VERIFY_FAILED")
            self.proxy.count_refusal("certificate" if certificate else "handshake", str(e))
            return
        request.settimeout(None)
        super().finish_request(request, client_address)

    def shutdown_request(self, request):
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        pass  # a connection that broke; its client sees it

    def cut(self):
        for sock in list(self.open):
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not that of SSLSocket, which its thread is using
            except OSError:
                pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def serve(self):
        body = self._body()
        if body is None:
            self.close_connection = True
            self._answer(413, [], b"")
            return
        request = Request(self.command, self.path, self.headers, body)
        refusal = self.server.proxy.judge(request)
        if refusal:
            self._refuse(refusal)
        else:
            self._hand_on(request)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = serve

    def _body(self):
        """None when it is too long."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        size = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(size) if size <= MAX_BODY else None

    def _chunks(self):
        body = bytearray()
        while True:
            size = int(self.rfile.readline(100).split(b";")[0], 16)
            if len(body) + size > MAX_BODY:
                return None
            body += self.rfile.read(size)
            self.rfile.readline(100)  # the end of the chunk, or the empty line that ends the body: trailers are not understood
            if not size:
                return bytes(body)

    def _refuse(self, refusal):
        headers = [("Content-Type", "application/json")]
        if refusal.status == 401:
            headers.append(("WWW-Authenticate", 'Basic realm="e2e"'))
        self._answer(refusal.status, headers, json.dumps({"message": refusal.reason}).encode())

    def _hand_on(self, request):
        try:
            status, headers, body = self._ask_upstream(request)
        except (OSError, http.client.HTTPException):
            self.server.proxy.count_unreachable()
            status, headers, body = 502, [], b"upstream did not answer"
        self._answer(status, headers, body)

    def _ask_upstream(self, request):
        c = http.client.HTTPConnection("127.0.0.1", self.server.proxy.upstream_port, timeout=UPSTREAM_SECONDS)
        try:
            c.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in end_to_end(request.headers.items()):
                c.putheader(name, value)
            c.putheader("Content-Length", str(len(request.body)))
            c.endheaders(request.body)
            r = c.getresponse()
            return r.status, end_to_end(r.getheaders()), r.read()
        finally:
            c.close()

    def _answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args):
        pass  # the proxy's counts say what matters


def end_to_end(headers):
    return [(k, v) for k, v in headers if k.lower() not in HOP_BY_HOP]
