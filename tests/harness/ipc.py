# SPDX-License-Identifier: Apache-2.0
"""Messages between roles, as docs/formats/ipc.md has them: for tests that play a role which somebody has taken over.

The schema is read from src/runtime/ipc/messages.ipc, so a test says

    edge.send("login_over", session=7)

and may as well send bytes that no honest role would.
"""
import fcntl
import os
import re
import socket
import struct
import threading
import time

from .server import ROOT
from .verdict import patience

NUMBERS = {"bool": "<B", "u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "i64": "<q"}
HEAD = struct.Struct("<HBBIQII")
REPLY, SPILLED, CREDIT = 1, 2, 4
INLINE_MAX = 60 * 1024
SEALS = 0x1 | 0x2 | 0x4 | 0x8
ADD_SEALS = 1033


class Schema:
    def __init__(self):
        self.kinds, self.messages = {}, []
        name = None
        with open(os.path.join(ROOT, "src/runtime/ipc/messages.ipc"), encoding="utf-8") as f:
            for line in f:
                line = line.split("#")[0].strip()
                m = re.fullmatch(r"(struct|message) (\w+) \{", line)
                field = re.fullmatch(r"(\w+)(?:\(([^)]*)\))? (\w+)", line)
                if m:
                    name = m[2]
                    self.kinds[name] = []
                    if m[1] == "message":
                        self.messages.append(name)
                elif line == "}":
                    name = None
                elif name and field:
                    args = [a.strip() for a in field[2].split(",")] if field[2] else []
                    self.kinds[name].append((field[1], args, field[3]))

    def number(self, name):
        return self.messages.index(name) + 1

    def name(self, number):
        return self.messages[number - 1] if 0 < number <= len(self.messages) else f"type {number}"

    def encode(self, name, values, fds):
        """The body; descriptors are appended to fds. A field that is not given is zero or empty."""
        out = b""
        unknown = set(values) - {field for _, _, field in self.kinds[name]}
        assert not unknown, f"{name} has no {unknown}"
        for kind, args, field in self.kinds[name]:
            out += self.encode_field(kind, args, values.get(field), fds)
        return out

    def encode_field(self, kind, args, value, fds):
        if kind in NUMBERS:
            return struct.pack(NUMBERS[kind], int(value or 0))
        if kind == "str":
            value = value.encode() if isinstance(value, str) else value or b""
            return struct.pack("<I", len(value)) + value
        if kind == "fd":
            if value is None or value < 0:
                return b"\xff"
            fds.append(value)
            return bytes([len(fds) - 1])
        if kind == "list":
            return struct.pack("<I", len(value or [])) + b"".join(self.encode(args[0], v, fds) for v in value or [])
        return self.encode(kind, value or {}, fds)

    def decode(self, name, body, fds):
        at, values = self.decode_at(name, body, 0, fds)
        assert at == len(body), f"{name}: {len(body) - at} bytes too many"
        return values

    def decode_at(self, name, body, at, fds):
        values = {}
        for kind, args, field in self.kinds[name]:
            if kind in NUMBERS:
                values[field] = struct.unpack_from(NUMBERS[kind], body, at)[0]
                at += struct.calcsize(NUMBERS[kind])
            elif kind == "str":
                n = struct.unpack_from("<I", body, at)[0]
                values[field] = bytes(body[at + 4:at + 4 + n])
                at += 4 + n
            elif kind == "fd":
                values[field] = None if body[at] == 255 else fds[body[at]]
                at += 1
            elif kind == "list":
                n, at = struct.unpack_from("<I", body, at)[0], at + 4
                values[field] = []
                for _ in range(n):
                    at, one = self.decode_at(args[0], body, at, fds)
                    values[field].append(one)
            else:
                at, values[field] = self.decode_at(kind, body, at, fds)
        return at, values


SCHEMA = Schema()


def memfd(data, sealed=True):
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    if sealed:
        fcntl.fcntl(fd, ADD_SEALS, SEALS)
    return fd


class Packet:
    def __init__(self, data, fds):
        self.type, self.flags, _, self.request, self.trace, self.deadline, self.credits = HEAD.unpack_from(data)
        self.name = SCHEMA.name(self.type) if self.type else "credit"
        body = data[HEAD.size:]
        if self.flags & SPILLED:
            with os.fdopen(fds.pop(), "rb") as f:
                f.seek(0)
                body = f.read()
        self.fds = fds
        self.values = SCHEMA.decode(self.name, body, fds) if self.type else {}

    def __getitem__(self, field):
        return self.values[field]

    def __repr__(self):
        return f"{self.name} {({k: v for k, v in self.values.items() if v})}"


class Channel:
    """One connection. What arrives is kept, in order, until it is asked for; `answer` may take it first."""

    def __init__(self, sock, answer=None):
        self.sock, self.answer = sock, answer
        self.sock.settimeout(None)
        self.cond = threading.Condition()
        self.inbox, self.replies = [], {}
        self.open, self.finished, self.requests = True, 0, 0
        self.may_read = threading.Event()
        self.may_read.set()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            self.may_read.wait()
            try:
                data, fds, _, _ = socket.recv_fds(self.sock, 65536, 16)
            except OSError:
                data, fds = b"", []
            if not data:
                break
            packet = Packet(data, list(fds))
            with self.cond:
                if packet.flags & REPLY:
                    self.replies[packet.request] = packet
                elif packet.type:
                    self.finished += 1
                    if not (self.answer and self.answer(self, packet)):
                        self.inbox.append(packet)
                self.cond.notify_all()
            if self.finished >= 128:
                self.raw(0, b"", flags=CREDIT)
        with self.cond:
            self.open = False
            self.cond.notify_all()

    def raw(self, number, body, fds=(), flags=0, request=0, count=None):
        """Any datagram; False when the connection is over."""
        with self.cond:
            credits, self.finished = self.finished, 0
        head = HEAD.pack(number, flags, len(fds) if count is None else count, request, 0x5ec, 30000 if request else 0, credits)
        try:
            socket.send_fds(self.sock, [head + body], list(fds))
            return True
        except OSError:
            return False

    def send(self, name, request=0, flags=0, **values):
        fds = []
        body = SCHEMA.encode(name, values, fds)
        spilled = len(body) > INLINE_MAX
        if spilled:
            fds.append(memfd(body))
            body, flags = b"", flags | SPILLED
        sent = self.raw(SCHEMA.number(name), body, fds, flags, request)
        if spilled:
            os.close(fds[-1])
        return sent

    def ask(self, name, timeout=20.0, **values):
        """Send a request; the reply, or None when there is none in time or the connection ends."""
        with self.cond:
            self.requests += 1
            request = self.requests
        if not self.send(name, request=request, **values):
            return None
        return self.reply(request, timeout)

    def reply(self, request, timeout=20.0):
        deadline = time.monotonic() + timeout * patience()
        with self.cond:
            while request not in self.replies:
                if not self.open or not self.cond.wait(max(0.0, deadline - time.monotonic())):
                    return None
            return self.replies.pop(request)

    def respond(self, packet, name, **values):
        return self.send(name, request=packet.request, flags=REPLY, **values)

    def take(self, *names, timeout=20.0, match=None):
        """The next message of one of these names that matches; None when none comes. Others stay."""
        deadline = time.monotonic() + timeout * patience()
        with self.cond:
            while True:
                for i, packet in enumerate(self.inbox):
                    if packet.name in names and (match is None or match(packet)):
                        return self.inbox.pop(i)
                if not self.open or not self.cond.wait(max(0.0, deadline - time.monotonic())):
                    return None

    def closed(self, timeout=20.0):
        deadline = time.monotonic() + timeout * patience()
        with self.cond:
            while self.open:
                if not self.cond.wait(max(0.0, deadline - time.monotonic())):
                    return False
        return True

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
