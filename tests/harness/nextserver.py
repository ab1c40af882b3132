# SPDX-License-Identifier: Apache-2.0
"""Another mail server, for tests of the outgoing side: it speaks SMTP or LMTP as the test wants it to.

    with NextServer(offers=["PIPELINING"], say={"RCPT": "550 5.1.1 no"}) as other:
        ... other.nexthop ...
        other.mails[0].data

`say` has the reply to a verb: a text, a function of (session, line) that gives one, or None: the connection is cut. "greeting"
and "end" (of a message) are verbs, too. A text "hang" says nothing, for ever.
"""
import socket
import threading


class Mail:
    def __init__(self, sender):
        self.sender, self.rcpts, self.data, self.how = sender, [], b"", ""

    def __repr__(self):
        return f"<{self.sender} to {self.rcpts}, {len(self.data)} bytes by {self.how}>"


class Session:
    def __init__(self, server, sock):
        self.server, self.sock, self.buffer = server, sock, b""
        self.mail, self.lines, self.forward = None, [], None
        self.accepted = 0
        self.chunks = b""

    def read(self, n):
        while len(self.buffer) < n:
            self.more()
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        out, self.buffer = self.buffer.split(b"\r\n", 1)
        assert b"\n" not in out and b"\r" not in out, f"a bare line end in {out!r}"
        return out

    def reply(self, text):
        if text is None:
            raise ConnectionError
        if text == "hang":
            self.sock.settimeout(None)
            while self.sock.recv(65536):
                pass
            raise ConnectionError
        if text:
            self.sock.sendall(text.encode() + b"\r\n")

    def answer(self, verb, line, usual):
        text = self.server.say.get(verb, usual)
        if callable(text):
            text = text(self, line)
        self.reply(text)
        return text

    def run(self):
        self.answer("greeting", "", "220 next.example ESMTP")
        while True:
            line = self.line().decode("utf-8", "surrogateescape")
            self.lines.append(line)
            verb = line.split(" ")[0].split(":")[0].upper()
            getattr(self, "do_" + verb.lower(), self.unknown)(line)
            if verb == "QUIT":
                return

    def unknown(self, line):
        self.reply("500 5.5.1 what?")

    def do_ehlo(self, line):
        words = ["next.example"] + self.server.offers
        usual = "\r\n".join(f"250{'-' if i + 1 < len(words) else ' '}{w}" for i, w in enumerate(words))
        self.answer("EHLO", line, usual)

    do_lhlo = do_ehlo

    def do_helo(self, line):
        self.answer("HELO", line, "250 next.example")

    def do_xforward(self, line):
        self.forward = line
        self.answer("XFORWARD", line, "250 2.0.0 ok")

    def do_mail(self, line):
        if self.answer("MAIL", line, "250 2.1.0 ok").startswith("2"):
            self.mail, self.accepted, self.chunks = Mail(line[len("MAIL FROM:"):]), 0, b""

    def do_rcpt(self, line):
        if not self.mail:
            self.reply("503 5.5.1 sender?")
        elif self.answer("RCPT", line, "250 2.1.5 ok").startswith("2"):
            self.mail.rcpts.append(line[len("RCPT TO:"):])

    def do_rset(self, line):
        self.mail = None
        self.answer("RSET", line, "250 2.0.0 ok")

    def do_quit(self, line):
        self.answer("QUIT", line, "221 2.0.0 bye")

    def do_data(self, line):
        if not self.mail or not self.mail.rcpts:
            self.reply("554 5.5.1 nobody to send it to")
            return
        if not self.answer("DATA", line, "354 go").startswith("3"):
            return
        lines = []
        while (got := self.line()) != b".":
            lines.append(got[1:] if got.startswith(b".") else got)
        self.take(b"".join(part + b"\r\n" for part in lines), "DATA")

    def do_bdat(self, line):
        words = line.split(" ")
        self.chunks += self.read(int(words[1]))
        if not self.mail or not self.mail.rcpts:
            self.reply("503 5.5.1 nobody to send it to")
        elif words[-1].upper() == "LAST":
            self.take(self.chunks, "BDAT")
        else:
            self.reply("250 2.0.0 more")

    def take(self, data, how):
        mail, self.mail = self.mail, None
        mail.data, mail.how = data, how
        for rcpt in mail.rcpts if self.server.lmtp else ["all"]:
            with self.server.cond:
                text = self.server.say.get("end", "250 2.0.0 taken")
                text = text(self, rcpt) if callable(text) else text
                if text and text.startswith("2") and mail not in self.server.mails:
                    self.server.mails.append(mail)
                self.server.cond.notify_all()
            self.reply(text)


class NextServer:
    def __init__(self, offers=(), say=None, lmtp=False, address="127.0.0.1", port=0):
        self.offers, self.say, self.lmtp = list(offers), dict(say or {}), lmtp
        self.mails, self.sessions = [], []
        self.cond = threading.Condition()
        self.listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(200)
        self.address, self.port = address, self.listener.getsockname()[1]
        self.open = True
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def nexthop(self):
        host = f"[IPv6:{self.address}]" if ":" in self.address else f"[{self.address}]"
        return f"{'lmtp:' if self.lmtp else ''}{host}:{self.port}"

    def accept(self):
        while self.open:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            session = Session(self, sock)
            with self.cond:
                self.sessions.append(session)
            threading.Thread(target=self.serve, args=(session,), daemon=True).start()

    def serve(self, session):
        try:
            session.run()
        except (ConnectionError, OSError):
            pass
        finally:
            session.sock.close()

    def lines(self):
        """All that was said, by connection."""
        return [session.lines for session in self.sessions]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.open = False
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for session in self.sessions:
            try:
                session.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
