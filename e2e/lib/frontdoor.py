"""The address that commands of a page are given: passes requests on to OpenSearch, and takes down those for what the node has not."""
import email
import email.policy
import http.server
import threading


class FrontDoor:
    """taken: [(method, path, headers, body)] of requests whose path begins with one of ours; they are answered 200. The rest goes to the node."""

    def __init__(self, search, ours):
        self.taken = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(handler):
                body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
                status, answer = 200, "{}"
                if handler.path.startswith(ours):
                    self.taken.append((handler.command, handler.path, handler.headers, body))
                else:
                    kind = {"Content-Type": handler.headers["Content-Type"]} if handler.headers["Content-Type"] else {}
                    status, answer = search.request(handler.command, handler.path, body or None, kind)
                data = str(answer).encode()
                handler.send_response(status)
                handler.send_header("Content-Length", str(len(data)))
                handler.end_headers()
                handler.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = handle_any

            def log_message(handler, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def form_file(headers, body):
    """The one file of a form, by its field's name: (field, content)."""
    message = email.message_from_bytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\n\n" + body, policy=email.policy.HTTP)
    part, = message.iter_parts()
    return part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
