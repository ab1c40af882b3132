# SPDX-License-Identifier: Apache-2.0
"""The HTTPS server of an MTA-STS policy (RFC 8461), with faults. `requests` has the first lines that were asked."""
import http.server
import ssl
import threading
import time


class PolicyHost:
    """status, content_type: of the answer; location: redirect there; delay: seconds before it; size: so many more bytes of
    comment lines; refuse: nobody listens. set() changes any of them, and the policy and certificate."""

    def __init__(self, name, address, port, files, policy, **more):
        self.name, self.address, self.port = name, address, port
        self.requests = []
        self.posted = []  # (path, media type, body)
        self.server = None
        self.values = {"status": 200, "content_type": "text/plain", "location": None, "delay": 0, "size": 0,
                       "refuse": False, "policy": policy, "files": files}
        self.set(**more)

    def set(self, **values):
        assert set(values) <= set(self.values), values
        self.values.update(values)
        self.close()
        if not self.values["refuse"]:
            self.open()

    def open(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                values = outer.values
                outer.requests.append(self.requestline)
                time.sleep(values["delay"])
                body = values["policy"].encode() + b"x-more: y\r\n" * (values["size"] // 11)
                if self.path != "/.well-known/mta-sts.txt":
                    self.send_error(404)
                    return
                self.send_response(values["status"])
                if values["location"]:
                    self.send_header("Location", values["location"])
                self.send_header("Content-Type", values["content_type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posted.append((self.path, self.headers["Content-Type"], body))
                self.send_response(outer.values["status"] if outer.values["status"] != 200 else 201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass  # clients that refuse the certificate

        self.server = Listener((self.address, self.port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.values["files"].cert, self.values["files"].key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
