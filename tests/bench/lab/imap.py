# SPDX-License-Identifier: Apache-2.0
"""An IMAP client that times single commands, finer than the load drivers print it."""
import re
import socket
import ssl
import time

from . import place


class Imap:
    """A session over TLS."""

    def __init__(self, port, user):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = socket.create_connection(("127.0.0.1", port), 30)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw)
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.tag = 0
        self.numbers = 0
        self.command(f"LOGIN {user}@example.test secret")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.file.close()
        self.socket.close()

    def command(self, text, more=b""):
        """Send one command, with bytes behind its text, and read to its end; seconds. What SEARCH found is counted."""
        self.tag += 1
        tag = b"t%d " % self.tag
        begun = time.perf_counter()
        self.socket.sendall(tag + text.encode("ascii") + more + b"\r\n")
        while True:
            line = self.file.readline()
            literal = re.search(rb"\{(\d+)\}\r\n$", line)
            if line.startswith(b"* SEARCH"):
                self.numbers = len(line.split()) - 2
            if literal:
                self.file.read(int(literal[1]))
            if line.startswith(tag) or not line:
                took = time.perf_counter() - begun
                if not line.startswith(tag + b"OK"):
                    raise place.Failure(f"bench: {text}: {line.decode('utf-8', 'replace').strip()}")
                return took

    def idle(self):
        """Say IDLE, and wait until the server has taken it."""
        self.socket.sendall(b"i IDLE\r\n")
        while not self.file.readline().startswith(b"+"):
            pass
