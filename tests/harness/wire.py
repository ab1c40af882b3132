# SPDX-License-Identifier: Apache-2.0
"""Sockets for tests: lines with a deadline, TLS, and just enough IMAP and SMTP to prepare and look.

The programs under test are driven by programs of others (tests/e2e) and by transcripts; these clients are for
what stands around that: filling mailboxes, waiting for deliveries, fetching a thousand messages at once.
"""
import itertools
import re
import select
import socket
import ssl
import time
import zlib

from .verdict import patience


class Closed(Exception):
    """The server closed the connection."""


class Timeout(Exception):
    """Nothing came in time."""


class Refused(Exception):
    """The server answered with something else than success."""


def tls_context():
    """Test certificates are self-signed: encrypt, do not verify."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Wire:
    """A TCP or TLS connection read line by line, perhaps compressed (RFC 4978)."""

    deflate = inflate = None

    def __init__(self, host, port, tls=False, source=None, timeout=10.0):
        self.timeout = timeout = timeout * patience()
        self.buffer = b""
        self.sock = socket.create_connection((host, port), timeout, (source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.start_tls()

    def start_tls(self):
        self.sock.settimeout(self.timeout)
        self.sock = tls_context().wrap_socket(self.sock, server_hostname="mail.example.test")

    def compress(self):
        """From now on both directions are DEFLATE streams."""
        assert not self.buffer, self.buffer
        self.deflate, self.inflate = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def plain(self):
        """And no more."""
        assert not self.buffer, self.buffer
        self.buffer = self.inflate.unused_data
        self.deflate = self.inflate = None

    def send(self, data):
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.sendall(data)
        except (ConnectionError, ssl.SSLError, BrokenPipeError) as e:
            raise Closed(str(e)) from e

    def _receive(self, deadline):
        left = deadline - time.monotonic()
        pending = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()
        if not pending and (left <= 0 or not select.select([self.sock], [], [], left)[0]):
            raise Timeout()
        self.sock.settimeout(max(left, 0.05))
        try:
            data = self.sock.recv(262144)
        except (socket.timeout, ssl.SSLWantReadError) as e:
            raise Timeout() from e
        except (ConnectionError, ssl.SSLError, OSError) as e:
            raise Closed(str(e)) from e
        if not data:
            raise Closed("end of stream")
        self.buffer += self.inflate.decompress(data) if self.inflate else data

    def line(self, timeout=None):
        """The next line, with its CRLF."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        start = 0
        while True:
            end = self.buffer.find(b"\n", start)
            if end >= 0:
                line, self.buffer = self.buffer[: end + 1], self.buffer[end + 1:]
                return line
            start = len(self.buffer)
            self._receive(deadline)

    def exactly(self, n, timeout=None):
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while len(self.buffer) < n:
            self._receive(deadline)
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass


LITERAL = re.compile(rb"~?\{(\d+)\+?\}\r?\n$")


def imap_line(wire, timeout=None):
    """One logical line of an IMAP server: with all its literals, without the last CRLF.

    When it comes in pieces and the last is late, the pieces go back, so that the caller may ask again.
    """
    whole = b""
    try:
        while True:
            line = wire.line(timeout)
            whole += line
            literal = LITERAL.search(line)
            if not literal:
                return whole[:-2] if whole.endswith(b"\r\n") else whole[:-1]
            whole += wire.exactly(int(literal.group(1)), timeout)
    except Timeout:
        wire.buffer = whole + wire.buffer
        raise


TOKEN = re.compile(
    rb'\s*(?:(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:\\.|[^"\\])*)"|~?\{(?P<literal>\d+)\+?\}\r?\n'
    rb"|(?P<atom>[^\s()\"{\[]*(?:\[[^\]]*\](?:<\d+>)?)?[^\s()\"{\[]*))",
    re.S,
)


def imap_tokens(data):
    """The line as nested lists: atoms are str, strings are bytes, NIL is None."""
    stack, at = [[]], 0
    while at < len(data):
        m = TOKEN.match(data, at)
        if not m or m.end() == at:
            if not data[at:].strip():
                break
            raise ValueError(f"not IMAP at {at}: {data[at:at + 40]!r}")
        at = m.end()
        if m["open"]:
            stack.append([])
        elif m["close"]:
            if len(stack) < 2:
                raise ValueError(f"unbalanced ) at {at}")
            done = stack.pop()
            stack[-1].append(done)
        elif m["quoted"] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", m["quoted"], flags=re.S))
        elif m["literal"]:
            n = int(m["literal"])
            stack[-1].append(data[at:at + n])
            at += n
        elif m["atom"]:
            atom = m["atom"].decode("latin-1")
            stack[-1].append(None if atom.upper() == "NIL" else atom)
    if len(stack) != 1:
        raise ValueError("missing )")
    return stack[0]


def quote(text):
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", text.encode()) + b'"'


class Imap:
    """A small IMAP client; raises Refused where the server does not say OK."""

    def __init__(self, server, user=None, password="secret", timeout=30.0, source=None):
        self.wire = Wire(server.host, server.ports["imaps"], tls=True, source=source, timeout=timeout)
        self.tags = (b"h%d" % n for n in itertools.count(1))
        greeting = imap_line(self.wire)
        if not greeting.startswith((b"* OK", b"* PREAUTH")):
            raise Refused(greeting)
        if user:
            self.command(b"LOGIN %s %s" % (quote(user), quote(password)))

    def command(self, *parts):
        """Send one command (parts after the first are literals); its untagged lines, and the text of OK last."""
        tag = next(self.tags)
        first, rest = parts[0], parts[1:]
        self.wire.send(tag + b" " + first + (b"" if rest else b"\r\n"))
        untagged = []
        for i, literal in enumerate(rest):
            self.wire.send(b" {%d}\r\n" % len(literal))
            while True:
                line = imap_line(self.wire)
                if line.startswith(b"+"):
                    break
                if line.startswith(tag):
                    raise Refused(line)
                untagged.append(line)
            self.wire.send(literal + (b"\r\n" if i == len(rest) - 1 else b""))
        return self.finish(tag, untagged)

    def finish(self, tag, untagged=None):
        untagged = [] if untagged is None else untagged
        while True:
            line = imap_line(self.wire)
            if line.startswith(tag + b" "):
                if not line.startswith(tag + b" OK"):
                    raise Refused(line)
                return untagged + [line[len(tag) + 1:]]
            untagged.append(line)

    def append(self, mailbox, data, flags="", date=""):
        head = b"APPEND " + quote(mailbox)
        head += b" (%s)" % flags.encode() if flags else b""
        head += b' "%s"' % date.encode() if date else b""
        return self.command(head, data)

    def messages(self, mailbox):
        return self.status(mailbox, "MESSAGES")

    def status(self, mailbox, item):
        lines = self.command(b"STATUS %s (%s)" % (quote(mailbox), item.encode()))
        for line in lines:
            m = re.search(item.encode() + rb" (\d+)", line)
            if m:
                return int(m.group(1))
        raise Refused(lines)

    def select(self, mailbox):
        """SELECT; the number of messages, and UIDVALIDITY."""
        text = b"\n".join(self.command(b"SELECT " + quote(mailbox)))
        exists = int(re.search(rb"\* (\d+) EXISTS", text).group(1))
        return exists, int(re.search(rb"UIDVALIDITY (\d+)", text).group(1))

    def fetch(self, numbers, items, uid=False):
        """{number: {item: value}} of a FETCH, in one go."""
        lines = self.command(b"%sFETCH %s %s" % (b"UID " if uid else b"", numbers.encode(), items.encode()))
        found = {}
        for line in lines[:-1]:
            m = re.match(rb"\* (\d+) FETCH ", line)
            if m:
                values = imap_tokens(line[m.end():])[0]
                entry = found.setdefault(int(m.group(1)), {})
                entry.update(zip((str(k).upper() for k in values[::2]), values[1::2]))
        return found

    def bodies(self, mailbox):
        """(uid, bytes) of every message, oldest first."""
        exists, _ = self.select(mailbox)
        if not exists:
            return []
        got = self.fetch("1:*", "(UID BODY.PEEK[])")
        return [(int(v["UID"]), v["BODY[]"]) for _, v in sorted(got.items())]

    def close(self):
        self.wire.close()


def received(server, user, n=1, mailbox="INBOX", timeout=20):
    """The n messages of a mailbox, awaited."""
    deadline = time.monotonic() + timeout * server.slow
    while True:
        imap = Imap(server, f"{user}@example.test")
        found = [body for _, body in imap.bodies(mailbox)]
        imap.close()
        if len(found) >= n or time.monotonic() > deadline:
            assert len(found) == n, f"{len(found)} messages of {n}\n{server.log_tail()}"
            return found
        time.sleep(0.05)


class Smtp:
    """A small SMTP client."""

    def __init__(self, server, port="smtp", source=None, timeout=30.0, hello=b"client.example.net"):
        self.wire = Wire(server.host, server.ports[port], source=source, timeout=timeout)
        self.expect(b"220", self.reply())
        self.features = self.command(b"EHLO " + hello, b"250")
        self.hello = hello

    def reply(self, timeout=None):
        lines = []
        while True:
            line = self.wire.line(timeout).rstrip(b"\r\n")
            lines.append(line)
            if line[3:4] != b"-":
                return b"\n".join(lines)

    @staticmethod
    def expect(code, reply):
        if not reply.startswith(code):
            raise Refused(reply)
        return reply

    def command(self, line, code=b"2"):
        self.wire.send(line + b"\r\n")
        return self.expect(code, self.reply())

    def start_tls(self):
        self.command(b"STARTTLS", b"220")
        self.wire.start_tls()
        self.features = self.command(b"EHLO " + self.hello, b"250")

    def message(self, sender, recipients, data, options=b""):
        """One transaction, pipelined; the reply to the final dot."""
        head = [b"MAIL FROM:<%s>%s" % (sender.encode(), options)]
        head += [b"RCPT TO:<%s>" % r.encode() for r in recipients] + [b"DATA"]
        self.wire.send(b"".join(line + b"\r\n" for line in head))
        replies = [self.reply() for _ in head]
        for reply in replies[:-1]:
            self.expect(b"250", reply)
        self.expect(b"354", replies[-1])
        self.wire.send(dot_stuffed(data))
        return self.expect(b"250", self.reply())

    def close(self):
        self.wire.close()


def refusal(act):
    """What the server refused the act with."""
    try:
        act()
    except Refused as e:
        return e.args[0]
    raise AssertionError("it was not refused")


def dot_stuffed(data):
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    return re.sub(rb"^\.", b"..", data, flags=re.M) + b".\r\n"


def crlf(data):
    """Lines ended by CRLF whatever they were ended by, as a mail program does before it sends."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", data)
