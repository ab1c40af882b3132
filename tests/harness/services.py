# SPDX-License-Identifier: Apache-2.0
"""Clients of barid's services for other mail servers: look-ups (tcp_table) and the policy protocol, as Postfix speaks them."""
import socket
import subprocess
import tempfile
import time

from .case import patience
from .server import PortRange


class Lines:
    """A connection to one of these ports."""

    def __init__(self, host, port, timeout=30.0):
        self.sock = socket.create_connection((host, port), timeout * patience())
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")

    def send(self, data):
        self.sock.sendall(data)

    def line(self):
        return self.file.readline()

    def ended(self):
        """The server has closed; what it had said before."""
        try:
            return self.file.read()
        except ConnectionResetError:
            return b""

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def encode(text):
    return "".join(c if 0x20 < ord(c) < 0x7f and c != "%" else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


def decode(text):
    out, at = bytearray(), 0
    while at < len(text):
        step = 3 if text[at] == "%" else 1
        out += bytes.fromhex(text[at + 1:at + 3]) if step == 3 else text[at].encode()
        at += step
    return out.decode()


class Table(Lines):
    """get(key): the value, or None; the last code and text are in `code`, `text`."""

    def get(self, key):
        self.send(b"get " + encode(key).encode() + b"\n")
        return self.answer()

    def answer(self):
        line = self.line().decode()
        assert line.endswith("\n"), f"the table has gone: {line!r}"
        code, _, text = line[:-1].partition(" ")
        self.code, self.text = int(code), decode(text)
        return self.text if self.code == 200 else None


class Policy(Lines):
    """ask(state, attribute=value, ...): the action."""

    def ask(self, protocol_state="RCPT", **attributes):
        self.send(request(protocol_state, **attributes))
        return self.answer()

    def answer(self):
        line, empty = self.line().decode(), self.line()
        assert line.startswith("action=") and empty == b"\n", (line, empty)
        return line[len("action="):-1]


def request(protocol_state="RCPT", **attributes):
    lines = ["request=smtpd_access_policy", f"protocol_state={protocol_state}"] + [f"{k}={v}" for k, v in attributes.items()]
    return ("\n".join(lines) + "\n\n").encode()


class PostSrsd:
    """The real program, with this secret: `forward` and `reverse` are its ports."""

    def __init__(self, t, secret, domain, more=()):
        self.range = PortRange()
        self.forward, self.reverse = self.range.offset + 778, self.range.offset + 779
        self.file = tempfile.NamedTemporaryFile("w", suffix=".secret")
        self.file.write(secret + "\n")
        self.file.flush()
        self.proc = subprocess.Popen([t.program("postsrsd"), f"-s{self.file.name}", f"-d{domain}", "-l127.0.0.1", "-4",
                                      f"-f{self.forward}", f"-r{self.reverse}", *more],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        deadline = time.monotonic() + 20 * patience()
        for port in (self.forward, self.reverse):
            while True:
                with socket.socket() as s:
                    if s.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if time.monotonic() > deadline:
                    self.__exit__()
                    raise AssertionError("postsrsd does not answer")
                time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()
        self.file.close()
        self.range.release()
