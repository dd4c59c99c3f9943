"""A Lambda service on the loopback address: Invoke in front, and behind it AWS's own runtime client with a Python function.

`python lambdahost.py PORT FOLDER MODULE.FUNCTION SECONDS` serves one function, one invocation at a time, as one instance does. `Lambda` starts it.
"""
import http.server
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid

MAX_BYTES = 6 << 20


class Lambda:
    """One function, started for a case."""

    def __init__(self, folder, module, function="handler", seconds=60, env=None):
        from harness import free_port
        self.folder, self.what, self.seconds, self.env = folder, f"{module}.{function}", seconds, env or {}
        self.port = free_port()
        self.url, self.process = f"http://127.0.0.1:{self.port}", None

    def start(self, name="lambda"):
        from harness import Process, tcp_open, wait_for
        self.process = Process(name, [sys.executable, os.path.abspath(__file__), str(self.port), self.folder, self.what, str(self.seconds)], self.folder, self.env)
        wait_for("the Lambda service listens", lambda: tcp_open(self.port), 30)
        return self

    def stop(self):
        if self.process:
            self.process.stop(10)
            self.process = None


class Instance:
    """The runtime client with the function, and what is asked of it."""

    def __init__(self, port, folder, what, seconds):
        self.port, self.folder, self.what, self.seconds = port, folder, what, seconds
        self.inbox, self.lock, self.answers, self.process = queue.Queue(), threading.Lock(), {}, None

    def spawn(self):
        env = {**os.environ, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.port}", "LAMBDA_TASK_ROOT": self.folder, "PYTHONPATH": self.folder,
               "AWS_LAMBDA_FUNCTION_NAME": "function", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_REGION": "us-east-1"}
        self.process = subprocess.Popen([sys.executable, "-m", "awslambdaric", self.what], env=env, cwd=self.folder)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def invoke(self, body):
        """(kind, answer): response, error, or "" when there was none in time."""
        with self.lock:
            request, done = str(uuid.uuid4()), threading.Event()
            self.answers[request] = slot = [done, "", b""]
            self.inbox.put((request, body, time.time() + self.seconds))
            came = done.wait(self.seconds)
            del self.answers[request]
            if not came:
                self.kill()
                self.spawn()
            elif self.process.poll() is not None:
                self.spawn()
            return slot[1], slot[2]

    def next(self):
        while True:
            request, body, deadline = self.inbox.get()
            if request in self.answers:
                return request, body, deadline

    def answered(self, request, kind, body):
        slot = self.answers.get(request)
        if slot:
            slot[1:] = [kind, body]
            slot[0].set()


def handler_of(instance):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self, status, body=b"", headers=None):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if not self.path.endswith("/runtime/invocation/next"):
                return self.reply(404)
            request, body, deadline = instance.next()
            self.reply(200, body, {"Lambda-Runtime-Aws-Request-Id": request, "Content-Type": "application/json", "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
                                   "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:function"})

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = self.path.split("?")[0].split("/")
            if "runtime" in parts:  # …/invocation/ID/response, …/invocation/ID/error, …/init/error
                instance.answered(parts[-2], parts[-1], body)
                return self.reply(202)
            if parts[-1] != "invocations":
                return self.reply(404, b"{}")
            if len(body) > MAX_BYTES:
                return self.reply(413, b'{"Type":"User","message":"Request must be smaller than 6291456 bytes"}', {"X-Amzn-ErrorType": "RequestTooLargeException"})
            kind, answer = instance.invoke(body)
            failed = {} if kind == "response" else {"X-Amz-Function-Error": "Unhandled"}
            self.reply(200, answer or json.dumps({"errorMessage": "Task timed out"}).encode(), {"Content-Type": "application/json", **failed})

    return Handler


def main():
    instance = Instance(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", instance.port), handler_of(instance))
    server.daemon_threads = True

    def stop(*_):
        instance.kill()
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    instance.spawn()
    signal.pause()


if __name__ == "__main__":
    main()
