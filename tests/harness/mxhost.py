# SPDX-License-Identifier: Apache-2.0
"""A mail host of the fake Internet (internet.py): an SMTP server that notes what comes and fails as it is told.

Faults are keyword arguments, and attributes that a test may change while it runs:

  refuse=True             nobody listens (close() and open() do it later)
  replies={"RCPT": "450 4.2.1 later"}
                          what is answered at a phase: BANNER, EHLO, HELO, LHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BDAT, END
                          (after the final dot), RSET, NOOP, VRFY, QUIT. A text (lines apart by "\\n"), a list of texts that
                          is used up one a time (then as usual; None in it: as usual), or a function (session, line) -> text.
  drop="MAIL"             close there without a reply; a reset with drop_hard=True
  hang="RCPT"             say nothing there any more, with the connection open
  delay={"MAIL": 0.5}     seconds before the reply
  extensions=[...]        instead of PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN, ENHANCEDSTATUSCODES, CHUNKING; STARTTLS and
                          AUTH come by themselves
  tls_fail=True           after 220 to STARTTLS comes rubbish; tls_max="1.2" no better TLS
  forget_pipelined=True   what comes in one segment with a command is thrown away (and PIPELINING is still offered)
  per_connection=2        after so many messages MAIL is answered 421 and the connection closed
  users={"joe": "secret"} AUTH PLAIN and LOGIN; without it MAIL is refused 530 when auth_needed=True
  lmtp=True               LHLO, and one reply for each recipient after the dot (replies["END"] may be a function)
"""
import base64
import re
import socket
import ssl
import struct
import threading
import time

EXTENSIONS = ["PIPELINING", "SIZE 100000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "CHUNKING"]
USUAL = {"BANNER": "220 {name} ESMTP", "HELO": "250 {name}", "STARTTLS": "220 2.0.0 go ahead", "MAIL": "250 2.1.0 fine",
         "RCPT": "250 2.1.5 fine", "DATA": "354 go ahead", "BDAT": "250 2.0.0 {n} octets", "END": "250 2.0.0 taken as {id}",
         "RSET": "250 2.0.0 forgotten", "NOOP": "250 2.0.0 fine", "VRFY": "252 2.0.0 perhaps", "QUIT": "221 2.0.0 bye"}


class Gone(Exception):
    pass


class Transaction:
    """A message as it came. mail, rcpts: the whole lines; sender, recipients: the addresses of those that were taken;
    content: without doubled dots, with CRLF as sent; raw: the bytes of DATA as on the wire, the final dot included;
    verdict: the reply to it, None while there is none; accepted: with 250."""

    def __init__(self, session, line):
        self.session, self.host, self.mail = session, session.host.name, line
        self.begun = time.monotonic()
        self.sender = address_of(line)
        self.rcpts, self.recipients, self.refused = [], [], []
        self.content = self.raw = b""
        self.verdict = None
        self.tls, self.helo, self.login = session.tls, session.helo, session.login
        self.chunked = False

    @property
    def accepted(self):
        return bool(self.verdict) and self.verdict.startswith("2")


def address_of(line):
    m = re.search(r"<([^>]*)>", line)
    return m.group(1) if m else ""


class Session:
    """One connection. lines: [("C" or "S", text)]; received: every byte of the client, decrypted."""

    def __init__(self, host, sock, peer):
        self.host, self.sock, self.peer = host, sock, peer
        self.begun = time.monotonic()
        self.lines, self.received, self.input = [], b"", b""
        self.tls = self.sni = None  # ("TLSv1.3", cipher)
        self.helo = self.login = None
        self.forwarded = {}  # by XFORWARD, for the message that comes
        self.taken = 0
        self.now = None
        self.open = True

    # --- bytes --------------------------------------------------------------------------------

    def more(self):
        try:
            data = self.sock.recv(65536)
        except OSError as e:
            raise Gone from e
        if not data:
            raise Gone
        self.received += data
        self.input += data

    def line(self):
        while b"\n" not in self.input:
            self.more()
        raw, _, self.input = self.input.partition(b"\n")
        text = raw.rstrip(b"\r").decode("utf-8", "surrogateescape")
        self.lines.append(("C", text))
        return text

    def octets(self, n):
        while len(self.input) < n:
            self.more()
        taken, self.input = self.input[:n], self.input[n:]
        return taken

    def send(self, text):
        lines = text.split("\n")
        code = lines[0][:3]
        out = []
        for i, line in enumerate(lines):
            body = line[4:] if line[:3] == code else line
            out.append(f"{code}{' ' if i == len(lines) - 1 else '-'}{body}")
        self.lines += [("S", line) for line in out]
        try:
            self.sock.sendall("".join(line + "\r\n" for line in out).encode("utf-8", "surrogateescape"))
        except OSError as e:
            raise Gone from e

    # --- replies ------------------------------------------------------------------------------

    def chosen(self, phase, line):
        """What the test wants said; None: as usual."""
        value = self.host.replies.get(phase)
        if isinstance(value, list):
            with self.host.mutex:
                return value.pop(0) if value else None
        return value(self, line) if callable(value) else value

    def reply(self, phase, usual, line=""):
        """Answer a phase, with its faults. The reply that was sent."""
        time.sleep(self.host.delay.get(phase, 0))
        if self.host.hang == phase:
            self.host.stopped.wait()
            raise Gone
        if self.host.drop == phase:
            if self.host.drop_hard:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Gone
        text = self.chosen(phase, line) or usual
        self.send(text)
        if text.startswith("421"):
            raise Gone
        return text

    def usual(self, phase, **more):
        return USUAL[phase].format(name=self.host.name, **more)

    # --- the dialogue -------------------------------------------------------------------------

    def run(self):
        self.reply("BANNER", self.usual("BANNER"))
        while True:
            line = self.line()
            if self.host.forget_pipelined:
                self.input = b""
            verb = line.split(" ")[0].upper()
            handler = getattr(self, "on_" + verb.lower(), None)
            if handler:
                handler(line)
            elif verb in USUAL:
                self.reply(verb, self.usual(verb), line)
                if verb == "QUIT":
                    return
            else:
                self.send("500 5.5.2 what?")

    def hello(self, phase, line):
        self.helo = line.partition(" ")[2]
        offers = list(self.host.extensions)
        if self.host.files and not self.tls:
            offers.append("STARTTLS")
        if self.host.users:
            offers.append("AUTH PLAIN LOGIN")
        self.reply(phase, "\n".join([f"250 {self.host.name}"] + [f"250 {o}" for o in offers]), line)

    def on_ehlo(self, line):
        self.hello("EHLO", line)

    def on_lhlo(self, line):
        self.hello("LHLO", line)

    def on_helo(self, line):
        self.helo = line.partition(" ")[2]
        self.reply("HELO", self.usual("HELO"), line)

    def on_xforward(self, line):
        if any(e.startswith("XFORWARD ") for e in self.host.extensions):
            self.forwarded.update(word.split("=", 1) for word in line.split()[1:])
            self.send("250 2.0.0 noted")
        else:
            self.send("500 5.5.2 what?")

    def on_rset(self, line):
        self.now = None
        self.reply("RSET", self.usual("RSET"), line)

    def on_starttls(self, line):
        if not self.host.files:
            self.send("502 5.5.1 no TLS here")
            return
        if not self.reply("STARTTLS", self.usual("STARTTLS"), line).startswith("220"):
            return
        if self.host.tls_fail:
            self.sock.sendall(b"This is not TLS.\r\n" * 10)
            raise Gone
        try:
            self.sock = self.host.context(self).wrap_socket(self.sock, server_side=True)
        except (OSError, ssl.SSLError) as e:
            self.host.tls_errors.append(str(e))
            raise Gone from e
        self.tls = (self.sock.version(), self.sock.cipher()[0])
        self.input, self.helo, self.now = b"", None, None

    def on_auth(self, line):
        words = line.split(" ")
        kind = words[1].upper() if len(words) > 1 else ""
        if kind == "PLAIN":
            if len(words) < 3:
                self.send("334 ")
                words.append(self.line())
            _, name, password = base64.b64decode(words[2]).decode().split("\0")
        elif kind == "LOGIN":
            if len(words) < 3:
                self.send("334 VXNlcm5hbWU6")
                words.append(self.line())
            self.send("334 UGFzc3dvcmQ6")
            name, password = (base64.b64decode(w).decode() for w in (words[2], self.line()))
        else:
            self.send("504 5.5.4 no such mechanism")
            return
        good = self.host.users.get(name) == password
        said = self.reply("AUTH", "235 2.7.0 welcome" if good else "535 5.7.8 no", line)
        if said.startswith("2"):
            self.login = name

    def on_mail(self, line):
        if self.host.per_connection and self.taken >= self.host.per_connection:
            self.send("421 4.7.0 enough on this connection")
            raise Gone
        if self.host.auth_needed and not self.login:
            self.send("530 5.7.0 who are you?")
            return
        t = Transaction(self, line)
        self.host.transactions.append(t)
        if self.reply("MAIL", self.usual("MAIL"), line).startswith("2"):
            self.now = t

    def on_rcpt(self, line):
        if not self.now:
            self.send("503 5.5.1 MAIL first")
            return
        self.now.rcpts.append(line)
        said = self.reply("RCPT", self.usual("RCPT"), line)
        (self.now.recipients if said.startswith("2") else self.now.refused).append(address_of(line))

    def on_data(self, line):
        t = self.now
        if not t or not t.recipients:
            self.send("554 5.5.1 no recipients" if t else "503 5.5.1 MAIL first")
            return
        if not self.reply("DATA", self.usual("DATA"), line).startswith("354"):
            return
        self.input = b"\r\n" + self.input  # so that a first line with the dot alone ends it, too
        while b"\r\n.\r\n" not in self.input:
            self.more()
        body, _, self.input = self.input.partition(b"\r\n.\r\n")
        text = body[2:] + b"\r\n" if body else b""
        t.raw = text + b".\r\n"
        t.content = re.sub(rb"(\A|\r\n)\.", rb"\1", text)
        self.end(line)

    def on_bdat(self, line):
        t = self.now
        words = line.split(" ")
        data = self.octets(int(words[1]))
        if not t or not t.recipients:
            self.send("503 5.5.1 MAIL and RCPT first")
            return
        t.chunked = True
        t.content += data
        t.raw += data
        if len(words) > 2 and words[2].upper() == "LAST":
            self.end(line)
        else:
            self.reply("BDAT", self.usual("BDAT", n=words[1]), line)

    def end(self, line):
        t, self.now = self.now, None
        usual = self.usual("END", id=len(self.host.transactions))
        for _ in t.recipients[1:] if self.host.lmtp else ():
            self.reply("END", usual, line)
        time.sleep(self.host.delay.get("END", 0))
        text = self.chosen("END", line) or usual
        if self.host.hang == "END" or self.host.drop == "END":
            self.reply("END", text, line)
        t.verdict = text  # before it is sent: who has the reply finds the message
        self.taken += text.startswith("2")
        self.send(text)
        if text.startswith("421"):
            raise Gone


class MailHost:
    def __init__(self, name, address, port, files, refuse=False, **faults):
        self.name, self.address, self.port, self.files = name, address, port, files
        self.replies, self.delay, self.users = {}, {}, {}
        self.drop = self.hang = self.tls_max = None
        self.drop_hard = self.tls_fail = self.forget_pipelined = self.auth_needed = self.lmtp = False
        self.per_connection = 0
        self.extensions = EXTENSIONS
        for key, value in faults.items():
            if not hasattr(self, key):
                raise TypeError(f"no fault is called {key}")
            setattr(self, key, value)
        self.transactions, self.sessions, self.tls_errors = [], [], []
        self.mutex = threading.Lock()
        self.stopped = threading.Event()
        self.listener = None
        if not refuse:
            self.open()

    def context(self, session):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.files.cert, self.files.key)
        if self.tls_max:
            c.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[self.tls_max]

        def asked(_, name, __):
            session.sni = name

        c.sni_callback = asked
        return c

    def open(self):
        """Listen; a host that refused is there."""
        self.stopped.clear()
        self.listener = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.address, self.port))
        self.listener.listen(200)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                sock, peer = listener.accept()
            except OSError:
                if self.listener is not listener:
                    return
                time.sleep(0.01)  # out of descriptors for a moment
                continue
            session = Session(self, sock, peer)
            self.sessions.append(session)
            threading.Thread(target=self.serve, args=(session,), daemon=True).start()

    def serve(self, session):
        try:
            session.run()
        except Gone:
            pass
        finally:
            session.open = False
            try:
                session.sock.close()
            except OSError:
                pass

    def close(self):
        """Refuse connections from now on, and end those that are open."""
        self.stopped.set()
        listener, self.listener = self.listener, None
        if listener:
            try:
                listener.shutdown(socket.SHUT_RDWR)  # or the thread in accept() would keep it listening
            except OSError:
                pass
            listener.close()
        for session in self.sessions:
            if session.open:
                try:
                    session.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
