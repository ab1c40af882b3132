# SPDX-License-Identifier: Apache-2.0
"""Runs the protocol transcripts of tests/transcripts. docs/TESTING.md explains their language.

A transcript is parsed into steps and played against a live server. Transcripts share servers: their account names
are replaced by unique ones of the same length (in what is sent, in messages and in what is expected), and each
comes from a loopback address of its own, so that they do not meet. One that kills, restarts, bends the clock, or
changes the domain gets a server of its own; there the names stay as written.
"""
import base64
import itertools
import json
import os
import re
import shlex
import signal
import string
import threading
import time
import traceback

from . import wire
from .server import DOMAIN, ROOT, Server

TESTS = os.path.join(ROOT, "tests")
LINE = re.compile(
    r"^(?:(?P<who>[a-z]\w*) )?(?P<head>C:|C\||C<|(?:S|S\*|S!|O|O\*|O!)(?: within (?P<within>[0-9.]+m?s))?:)(?: (?P<text>.*))?$"
)
CONNECTS = re.compile(
    r"^(?P<who>[a-z]\w*) connects (?P<proto>smtp|submissions?|imap|imaps|pop3|pop3s|managesieve|lmtp|policy|reinject(?:_lists)?)(?: from (?P<source>[\d.]+))?"
    r"(?: and sees (?P<sees>.*))?$"
)
MESSAGE = re.compile(
    r"^message (?P<index>\d+) in (?P<mailbox>\"[^\"]*\"|\S+?)(?: of (?P<who>\w+))?(?: with flags (?P<flags>[^\"]*?))?"
    r"(?: dated \"(?P<date>[^\"]*)\")?(?: from (?P<file>\S+)|:)?$"
)
OWN = re.compile(r"^(!kill|!freeze|!restart|!advance|\$!? barid)")


class Wrong(Exception):
    """A transcript's expectation does not hold, or the transcript itself is not well formed."""


class Step:
    def __init__(self, number, kind, **fields):
        self.number, self.kind = number, kind
        self.block = []
        self.__dict__.update(fields)


class Transcript:
    """A parsed file: its title, its steps, and whether it needs a server for itself."""

    def __init__(self, path):
        self.path = path
        self.name = os.path.relpath(path, os.path.join(TESTS, "transcripts"))[: -len(".txt")]
        self.steps, self.own, self.args, self.title, self.concurrent = [], False, [], "", False
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f.read().split("\n"), 1):
                try:
                    self.parse(number, line)
                except Wrong as e:
                    raise Wrong(f"{self.path}:{number}: {e}") from None

    def parse(self, number, line):
        if line.startswith("|"):
            if not self.steps or self.steps[-1].kind not in ("message", "send", "configuration"):
                raise Wrong("a | line belongs below `given message`, `given configuration` or `!send`")
            self.steps[-1].block.append(line[2:] if line.startswith("| ") else line[1:])
            return
        line = re.sub(r"\s{2,}# .*$", "", line.rstrip())
        if line.startswith("#"):
            self.title = self.title or line[1:].strip()
        elif line:
            self.own = self.own or bool(OWN.match(line))
            self.statement(number, line)

    def statement(self, number, line):
        m = CONNECTS.match(line)
        if m:
            self.steps.append(Step(number, "connect", **m.groupdict()))
            return
        word, _, rest = line.partition(" ")
        if word == "needs":
            if rest == "concurrency":
                self.concurrent = True
            elif rest.startswith("own server"):
                self.own = True
                self.args = shlex.split(rest[len("own server"):])
            else:
                raise Wrong(f"needs what? {rest}")
        elif word == "given":
            self.given(number, rest)
        elif line.startswith("$ barid "):
            self.steps.append(Step(number, "cli", args=line[len("$ barid "):], fails=False))
        elif line.startswith("$! barid "):
            self.steps.append(Step(number, "cli", args=line[len("$! barid "):], fails=True))
        elif line.startswith("!"):
            verb = word[1:]
            if not hasattr(Play, "verb_" + verb):
                raise Wrong(f"unknown verb {word}")
            self.steps.append(Step(number, "send" if verb == "send" else "verb", verb=verb, rest=rest))
        else:
            m = LINE.match(line)
            if not m:
                raise Wrong(f"not understood: {line}")
            head = m["head"].split(" ")[0].rstrip(":")
            self.steps.append(Step(number, "line", who=m["who"], head=head, within=m["within"], text=m["text"] or ""))

    def given(self, number, rest):
        m = re.match(r"account (\w+)(?: password (\S+))?(?: quota (\S+))?(?: with mailboxes (.*))?$", rest)
        if m:
            mailboxes = [x.strip().strip('"') for x in (m[4] or "").split(",") if x.strip()]
            self.own = self.own or bool(m[3])
            self.steps.append(Step(number, "account", name=m[1], password=m[2] or "secret", quota=m[3],
                                   mailboxes=mailboxes))
            return
        m = MESSAGE.match(rest)
        if m:
            self.steps.append(Step(number, "message", **m.groupdict()))
            return
        if rest == "configuration:":
            self.own = True
            self.steps.append(Step(number, "configuration"))
            return
        m = re.match(r"alias (\S+) to (.*)$", rest)
        if m:
            self.steps.append(Step(number, "alias", address=m[1], to=[x.strip() for x in m[2].split(",")]))
            return
        raise Wrong(f"given what? {rest}")

    def configuration(self):
        """The lines of `given configuration:`."""
        return "".join(line + "\n" for s in self.steps if s.kind == "configuration" for line in s.block)

    def accounts(self):
        names = [s.name for s in self.steps if s.kind == "account"]
        aliases = [s.address.split("@")[0] for s in self.steps if s.kind == "alias"]
        return names + aliases


class Names:
    """Unique account names of the same length as those in the transcripts; one per shared server."""

    def __init__(self):
        self.next = itertools.count(36)
        self.mutex = threading.Lock()

    def unique(self, name):
        if len(name) < 3:
            raise Wrong(f"account name {name} is too short to share a server (3 letters)")
        with self.mutex:
            n = next(self.next)
        digits = ""
        for _ in range(len(name) - 1):
            n, d = divmod(n, 36)
            digits = (string.digits + string.ascii_lowercase)[d] + digits
        return name[0] + digits


def duration(text):
    m = re.fullmatch(r"([0-9.]+)(ms|s|m|h|d)", text)
    if not m:
        raise Wrong(f"not a duration: {text}")
    return float(m[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}[m[2]]


def wire_text(text):
    """What stands in a UTF-8 transcript as the bytes that travel, one character a byte."""
    return text.encode("utf-8").decode("latin-1")


SEGMENT = re.compile(r"(?:^|(?<=[ \[(<{]))/((?:\\/|[^/])+)/(?=$|[ \])>}.,;:])")


def compile_pattern(text, known):
    """The pattern of an S: line: literal text, `...` at its end, /regular expressions/, $names, \\r\\n."""
    rest = text.endswith("...")
    if rest:
        text = text[:-3]

    def literal(part):
        part = re.sub(r"\$(\w+)", lambda m: known.get(m.group(1), m.group(0)), part)
        return re.escape(wire_text(part).replace("\\r\\n", "\r\n"))

    out, at = "", 0
    for m in SEGMENT.finditer(text):
        out += literal(text[at:m.start()])
        expression = m.group(1).replace("\\/", "/")
        expression = re.sub(r"\(\?<(\w+)>", r"(?P<\1>", wire_text(expression))
        out += re.sub(r"\$(\w+)", lambda m: re.escape(known[m.group(1)]) if m.group(1) in known else m.group(0), expression)
        at = m.end()
    out += literal(text[at:])
    if rest and out.endswith("\\ "):
        out = out[:-2] + r"(?:\ |\Z)"  # `OK ...` also matches a bare `OK`
    return re.compile(out + (".*" if rest else ""), re.S)


def short(line, limit=1500):
    """A line for a report: visible line ends, not endless."""
    line = line.replace("\r\n", "\\r\\n")
    return line if len(line) <= limit else f"{line[:limit]} ... ({len(line)} characters)"


class Client:
    """One connection of a transcript, and what it has read but not yet explained."""

    def __init__(self, name, server, proto, source):
        self.name, self.proto, self.server = name, proto, server
        self.imap, self.pop3, self.sieve = proto.startswith("imap"), proto.startswith("pop3"), proto == "managesieve"
        self.wire = wire.Wire(server.host, server.ports[proto], tls=proto in ("imaps", "pop3s", "submissions"), source=source)
        self.unread = []   # lines that no step has consumed
        self.passed = []   # lines that an S*: has skipped; another S*: may still want them
        self.loose = False
        self.finished = False  # an S*: has consumed the last line of the reply
        self.trace = []
        self.closed = False

    def send(self, data):
        if self.loose and not self.imap:  # the rest of a reply whose interesting lines were seen
            while not self.final(self.next(time.monotonic() + self.wire.timeout)):
                pass
        self.loose, self.finished, self.passed = False, False, []
        self.trace.append("C: " + repr(data)[2:-1])
        self.wire.send(data)

    def read(self, timeout):
        """The next line from the server as text, '(closed)' at the end of the stream; raises Timeout."""
        if self.closed:
            return "(closed)"
        try:
            data = wire.imap_line(self.wire, timeout) if self.imap else self.wire.line(timeout)
        except wire.Closed:
            self.closed = True
            line = "(closed)"
        else:
            line = (data if self.imap else data.rstrip(b"\r\n")).decode("latin-1")
        self.trace.append("S: " + line)
        return line

    def next(self, deadline):
        if self.unread:
            return self.unread.pop(0)
        return self.read(max(deadline - time.monotonic(), 0.001))

    def final(self, line):
        """The line ends a reply: tagged or a continuation request in IMAP, `250 ` in SMTP, the dot of a long one in POP3,
        the end of the stream."""
        if line == "(closed)":
            return True
        if self.sieve:
            return re.match(r"(OK|NO|BYE)\b", line) is not None
        if self.pop3:
            return line == "." or line.startswith("-ERR")
        return not line.startswith("* ") if self.imap else line[3:4] != "-"


class Play:
    """One run of one transcript."""

    def __init__(self, transcript, server, names, source):
        self.transcript, self.server, self.source = transcript, server, source
        self.clients, self.current, self.known = {}, None, {}
        self.accounts, self.output = {}, []
        self.renames = {}
        if names:
            for name in transcript.accounts():
                self.renames.setdefault(name, names.unique(name))
        words = "|".join(sorted(map(re.escape, self.renames), key=len, reverse=True))
        # A name begins at a word's start, or behind an escape such as \0 or \n.
        self.rename_pattern = re.compile(rf"(?:(?<!\w)|(?<=\\[rn0t]))({words})(?!\w)") if words else None

    def rename(self, text):
        if not self.rename_pattern:
            return text
        return self.rename_pattern.sub(lambda m: self.renames[m.group(1)], text)

    def original(self, text):
        for name, unique in self.renames.items():
            text = text.replace(unique, name)
        return text

    def run(self):
        step = None
        try:
            for step in self.transcript.steps:
                getattr(self, "do_" + step.kind)(step)
        except (Wrong, wire.Timeout, wire.Closed, wire.Refused, RuntimeError, AssertionError, OSError, LookupError) as e:
            raise Wrong(self.report(step, e)) from e
        finally:
            for client in self.clients.values():
                client.wire.close()

    def report(self, step, error):
        what = str(error) or type(error).__name__
        lines = [f"{os.path.relpath(self.transcript.path, ROOT)}:{step.number}: {what}"]
        if self.current:
            lines.append(f"  connection of {self.current.name} ({self.current.proto}), last lines:")
            lines += ["    " + short(line, 300) for line in self.current.trace[-12:]]
        lines.append("  server's log, last lines:")
        lines += ["    " + short(line, 300) for line in self.server.log_tail(12).splitlines()]
        return self.original("\n".join(lines))

    # --- preparation --------------------------------------------------------------------------

    def do_configuration(self, step):
        """The server was started with it."""

    def do_account(self, step):
        name = self.rename(step.name)
        self.accounts[step.name] = (f"{name}@{DOMAIN}", step.password)
        demo_has_it = not self.rename_pattern and name in ("alice", "bob", "postmaster")
        if demo_has_it and not step.quota and step.password == "secret":
            pass
        elif demo_has_it:
            raise Wrong(f"{name} exists in the demo with the password secret and no quota; take another name")
        else:
            self.server.add_user(name, step.password, step.quota)
        if step.mailboxes:
            self.with_imap(step.name, lambda imap: self.make_mailboxes(imap, step.mailboxes))

    @staticmethod
    def make_mailboxes(imap, mailboxes):
        for mailbox in mailboxes:
            if mailbox.upper() == "INBOX":
                continue
            try:
                imap.command(b"CREATE " + wire.quote(mailbox))
            except wire.Refused as e:
                if b"ALREADYEXISTS" not in e.args[0] and b"exist" not in e.args[0]:
                    raise

    def with_imap(self, account, action):
        address, password = self.accounts[account]
        imap = wire.Imap(self.server, address, password, source=self.source)
        try:
            return action(imap)
        finally:
            imap.close()

    def last_account(self):
        if not self.accounts:
            raise Wrong("no account given")
        return list(self.accounts)[-1]

    def do_message(self, step):
        account = step.who or self.last_account()
        mailbox = step.mailbox.strip('"')
        data = self.block(step)

        def put(imap):
            imap.append(mailbox, data, step.flags or "", step.date or "")
            have = imap.messages(mailbox)
            if have != int(step.index):
                raise Wrong(f"{mailbox} has {have} messages after this one")

        self.with_imap(account, put)

    def block(self, step):
        """The message below a `given message` or `!send`, or in its file."""
        name = getattr(step, "file", None)
        if name:
            return self.file(name)
        text = wire_text(self.functions(self.rename("\r\n".join(step.block) + "\r\n")))
        return text.encode("latin-1")

    @staticmethod
    def file(name):
        path = os.path.join(TESTS, name)
        if not os.path.exists(path):
            raise Wrong(f"no file tests/{name}")
        with open(path, "rb") as f:
            return f.read()

    def do_alias(self, step):
        address = self.rename(step.address)
        self.server.add_alias(address if "@" in address else f"{address}@{DOMAIN}",
                              [t if "@" in t else f"{t}@{DOMAIN}" for t in map(self.rename, step.to)])

    def do_connect(self, step):
        old = self.clients.pop(step.who, None)
        if old:
            old.wire.close()
        client = Client(step.who, self.server, step.proto, step.source or self.source)
        self.clients[step.who] = self.current = client
        client.wire.timeout = 10.0 * self.server.slow
        if step.proto == "policy":  # the client speaks first
            return
        wanted = step.sees or ("* OK ..." if client.imap else "+OK ..." if client.pop3 else "OK ..." if client.sieve else "220 ...")
        line = client.next(self.deadline(None))
        while not client.imap and not client.pop3 and not client.final(line):
            line = client.next(self.deadline(None))
        self.match(wanted, line)

    # --- the dialogue -------------------------------------------------------------------------

    def deadline(self, within):
        return time.monotonic() + (duration(within) if within else 10.0) * self.server.slow

    def do_line(self, step):
        if step.head.startswith("O"):
            self.output_line(step)
            return
        if step.who:
            if step.who not in self.clients:
                raise Wrong(f"{step.who} is not connected")
            self.current = self.clients[step.who]
        if not self.current:
            raise Wrong("nobody is connected")
        handler = {"C": self.client_line, "C|": self.client_line, "C<": self.client_file,
                   "S": self.next_line, "S*": self.some_line, "S!": self.no_line}[step.head]
        handler(self.current, step)

    def expand(self, text):
        """Variables and functions in what a client sends."""
        text = self.rename(text)
        text = re.sub(r"\$(\w+)(?![\w(])", lambda m: self.known.get(m.group(1), m.group(0)), text)

        return wire_text(self.functions(text))

    @staticmethod
    def functions(text):
        """$base64(...) and $repeat(text,count)."""
        def call(m):
            if m.group(1) == "base64":
                return base64.b64encode(wire_text(m.group(2).replace("\\0", "\0")).encode("latin-1")).decode()
            part, count = m.group(2).rsplit(",", 1)
            return part * int(count)

        return re.sub(r"\$(base64|repeat)\(([^()]*)\)", call, text)

    def sent(self, step):
        """The bytes of a C: or C| line."""
        text = self.expand(step.text)
        if step.head == "C":
            return (text + "\r\n").encode("latin-1")
        escapes = {"r": "\r", "n": "\n", "0": "\0", "t": "\t", "\\": "\\"}
        text = re.sub(r"\\(?:x([0-9a-fA-F]{2})|([rn0t\\]))", lambda m: chr(int(m[1], 16)) if m[1] else escapes[m[2]], text)
        return text.encode("latin-1")

    def client_line(self, client, step):
        client.send(self.sent(step))

    def client_file(self, client, step):
        client.send(self.file(step.text))

    def match(self, wanted, line):
        found = compile_pattern(self.functions(self.rename(wanted)), self.known).fullmatch(line)
        if not found:
            raise Wrong(f"wanted\n    {short(wanted)}\n  got\n    {short(line)}")
        self.known.update({k: v for k, v in found.groupdict().items() if v is not None})

    def matches(self, wanted, line):
        try:
            self.match(wanted, line)
        except Wrong:
            return False
        return True

    def next_line(self, client, step):
        deadline = self.deadline(step.within)
        while True:
            try:
                line = client.next(deadline)
            except wire.Timeout:
                raise Wrong(f"wanted\n    {step.text}\n  got nothing in time") from None
            if client.loose and not client.final(line) and not self.matches(step.text, line):
                client.passed.append(line)
                continue
            self.match(step.text, line)
            client.finished = False
            client.loose = client.loose and not client.final(line)
            return

    def some_line(self, client, step):
        for line in client.passed:
            if self.matches(step.text, line):
                client.passed.remove(line)
                return
        deadline = self.deadline(step.within)
        client.loose = True
        while True:
            try:
                line = client.next(deadline)
            except wire.Timeout:
                raise Wrong(self.not_among(client, step, "and no more came in time")) from None
            if self.matches(step.text, line):
                client.finished = client.final(line)
                client.loose = not client.finished
                return
            client.passed.append(line)
            if client.final(line) and (not step.within or line == "(closed)"):
                raise Wrong(self.not_among(client, step, "which ends the reply"))

    @staticmethod
    def not_among(client, step, end):
        lines = "\n".join("    " + short(line, 300) for line in client.passed) or "    (nothing)"
        return f"wanted among the next lines\n    {short(step.text)}\n  got\n{lines}\n  {end}"

    def no_line(self, client, step):
        """Look at the lines of the current reply, or of the given time, and leave them for the next steps."""
        deadline = self.deadline(step.within)
        if step.within:
            deadline = time.monotonic() + duration(step.within)
        seen = list(client.unread)
        while step.within or not (client.finished or any(client.final(line) for line in seen)):
            try:
                line = client.read(max(deadline - time.monotonic(), 0.001))
            except wire.Timeout:
                if not step.within:
                    raise Wrong("the reply did not end in time") from None
                break
            seen.append(line)
            if line == "(closed)":
                break
        client.unread = seen
        for line in client.passed + seen:
            if self.matches(step.text, line):
                raise Wrong(f"must not appear\n    {step.text}\n  but did\n    {line}")

    # --- command line -------------------------------------------------------------------------

    def do_cli(self, step):
        code, text = self.server.cli(*shlex.split(self.expand(step.args)), check=False)
        self.output = text.splitlines()
        if bool(code) != step.fails:
            raise Wrong(f"barid {step.args}: exit {code}\n{text}")

    def output_line(self, step):
        if step.head == "O":
            self.match(step.text, self.output.pop(0) if self.output else "(end of output)")
            return
        hit = any(self.matches(step.text, line) for line in self.output)
        if hit != (step.head == "O*"):
            raise Wrong(f"{'wanted' if not hit else 'unwanted'} in the output\n    {step.text}\n  got\n    "
                        + "\n    ".join(self.output))

    # --- verbs --------------------------------------------------------------------------------

    def do_verb(self, step):
        getattr(self, "verb_" + step.verb)(step.rest, step)

    def do_send(self, step):
        self.verb_send(step.rest, step)

    def verb_wait(self, rest, _):
        time.sleep(duration(rest))

    def verb_kill(self, rest, _):
        m = re.fullmatch(r"(\w+)(?: at ([\w.-]+))?", rest)
        if not m:
            raise Wrong("!kill ROLE [at POINT]")
        if m[2]:
            self.server.crash_point(m[1], m[2])
        else:
            self.server.kill(m[1])

    def verb_freeze(self, rest, _):
        self.server.freeze(rest)

    def verb_thaw(self, rest, _):
        self.server.freeze(rest, signal.SIGCONT)

    def verb_back(self, rest, _):
        self.server.await_role(rest)

    def verb_restart(self, rest, _):
        self.server.restart(hard=rest == "hard")

    def verb_advance(self, rest, _):
        self.server.advance_clock(duration(rest))

    def verb_disconnect(self, _rest, _step):
        self.current.wire.close()
        self.clients.pop(self.current.name)
        self.current = None

    def verb_starttls(self, _rest, _step):
        client = self.current
        if client.imap:
            client.send(b"tls STARTTLS\r\n")
            self.match("tls OK ...", client.next(self.deadline(None)))
        elif client.pop3:
            client.send(b"STLS\r\n")
            self.match("+OK ...", client.next(self.deadline(None)))
        else:
            client.send(b"STARTTLS\r\n")
            self.match("OK ..." if client.sieve else "220 ...", client.next(self.deadline(None)))
        client.wire.start_tls()
        while client.sieve and not client.final(client.next(self.deadline(None))):
            pass  # the capabilities again

    def verb_compress(self, _rest, _step):
        client = self.current
        client.send(b"zip COMPRESS DEFLATE\r\n")
        self.match("zip OK ...", client.next(self.deadline(None)))
        client.wire.compress()

    def verb_compressed(self, _rest, _step):
        """Compression begins, whatever was said before."""
        self.current.wire.compress()

    def verb_plain(self, _rest, _step):
        """It is over, as it is behind UNAUTHENTICATE."""
        self.current.wire.plain()

    def verb_tls(self, _rest, _step):
        """TLS begins, whatever was said before."""
        self.current.wire.start_tls()

    def verb_login(self, rest, _):
        client = self.current
        account = rest or (client.name if client.name in self.accounts else self.last_account())
        if account not in self.accounts:
            raise Wrong(f"no account {account}")
        address, password = self.accounts[account]
        if client.imap:
            client.send(b"login LOGIN %s %s\r\n" % (wire.quote(address), wire.quote(password)))
            line = client.next(self.deadline(None))
            while not client.final(line):
                line = client.next(self.deadline(None))
            self.match("login OK ...", line)
        elif client.pop3:
            for line in (b"USER " + address.encode(), b"PASS " + password.encode()):
                client.send(line + b"\r\n")
                self.match("+OK ...", client.next(self.deadline(None)))
        elif client.sieve:
            plain = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
            client.send(f'AUTHENTICATE "PLAIN" "{plain}"\r\n'.encode())
            self.match("OK ...", client.next(self.deadline(None)))
        else:
            plain = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
            client.send(f"AUTH PLAIN {plain}\r\n".encode())
            self.match("235 ...", client.next(self.deadline(None)))

    def verb_send(self, rest, step):
        m = re.fullmatch(r"from (\S*) to (.+)", rest)
        if not m:
            raise Wrong("!send from ADDRESS to ADDRESS[, ADDRESS]")
        sender = "" if m[1] == "<>" else self.rename(m[1])
        smtp = wire.Smtp(self.server, source=self.source)
        try:
            smtp.message(sender, [self.server.address(self.rename(x.strip())) for x in m[2].split(",")], self.block(step))
        finally:
            smtp.close()

    def verb_await(self, rest, _):
        """Wait until a mailbox has so many messages, or the directory knows that so many bytes are used."""
        m = re.fullmatch(r"(\d+) bytes used by (\w+)", rest)
        if m:
            return self.await_used(int(m[1]), m[2])
        m = re.fullmatch(r"(queued|deferred|held) mail for (\S+)", rest)
        if m:
            return self.await_queue(m[1], m[2])
        m = re.fullmatch(r"(\d+) messages? in (\S+)(?: of (\w+))?", rest)
        if not m:
            raise Wrong("!await N messages in MAILBOX [of ACCOUNT], or: !await N bytes used by ACCOUNT, or: !await STATE mail for ADDRESS")
        deadline = self.deadline("15s")
        have = None
        while time.monotonic() < deadline:
            try:
                have = self.with_imap(m[3] or self.last_account(), lambda imap: imap.messages(m[2].strip('"')))
            except (OSError, wire.Closed, wire.Refused, wire.Timeout):
                pass  # a role was just killed; ask again
            if have == int(m[1]):
                return
            time.sleep(0.03)
        raise Wrong(f"{m[2]} has {have} messages, not {m[1]}")

    def await_queue(self, state, address):
        """What waits for another server gets there, and is put off, in its own time."""
        deadline, states = self.deadline("15s"), []
        while time.monotonic() < deadline:
            states = [row["state"] for row in json.loads(self.server.cli("queue", "list", address, "--json")).get("rows", ())]
            if state in states:
                return
            time.sleep(0.03)
        raise Wrong(f"mail for {address} is {states}, none is {state}")

    def await_used(self, least, account):
        """What is used reaches the directory, which judges RCPT, a moment after the delivery."""
        address, deadline, used = self.accounts[account][0], self.deadline("15s"), None
        while time.monotonic() < deadline:
            rows = json.loads(self.server.cli("quota", "list", "--json"))["rows"]
            used = next((int(row["used-bytes"]) for row in rows if row["user"] == address), None)
            if used is not None and used >= least:
                return
            time.sleep(0.03)
        raise Wrong(f"the directory knows of {used} bytes used by {account}, less than {least}")


class Runner:
    """Plays many transcripts on a few shared servers, several at once."""

    def __init__(self, build, lanes, on_result):
        self.build, self.lanes, self.on_result = build, lanes, on_result
        self.sources = itertools.count(1)
        self.mutex = threading.Lock()

    def source(self):
        with self.mutex:
            n = next(self.sources)
        return f"127.{10 + os.getpid() % 200}.{n // 250 + 1}.{n % 250 + 1}"

    def run(self, transcripts):
        # Those with a server of their own take longest: begin with them.
        queue = sorted(transcripts, key=lambda t: not t.own)
        threads = [threading.Thread(target=self.lane, args=(queue,)) for _ in range(min(self.lanes, len(queue)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def lane(self, queue):
        shared, names = None, Names()
        while True:
            with self.mutex:
                transcript = queue.pop(0) if queue else None
            if transcript is None:
                break
            begun = time.monotonic()
            try:
                if transcript.own:
                    self.play_alone(transcript)
                else:
                    shared = shared or started(self.build)
                    Play(transcript, shared, names, self.source()).run()
                problem = None
            except (Wrong, AssertionError, RuntimeError, OSError) as e:
                problem = str(e)
                shared = self.replace_if_dead(shared)
            except Exception:  # pylint: disable=broad-except  (a mistake in the harness fails this transcript, not the lane)
                problem = traceback.format_exc()
                shared = self.replace_if_dead(shared)
            self.on_result(transcript.name, problem, time.monotonic() - begun)
        if shared:
            self.finish(shared)

    def play_alone(self, transcript):
        env = {"BARID_DEMO_CONF": transcript.configuration()}
        with Server(build=self.build, args=transcript.args, env=env) as server:
            Play(transcript, server, None, self.source()).run()

    @staticmethod
    def replace_if_dead(shared):
        if shared and shared.proc and shared.proc.poll() is not None:
            shared.close(keep=True)
            return None
        return shared

    def finish(self, shared):
        """The shared server's own behaviour counts as one more test."""
        shared.stop()
        problems = shared.problems()
        shared.close(keep=bool(problems))
        self.on_result("shared server", "\n".join(problems) or None, 0.0)


def started(build):
    server = Server(build=build)
    try:
        server.start()
    except BaseException:
        server.close(keep=True)
        raise
    return server


def load(pattern=""):
    """All transcripts whose name contains the pattern."""
    found = []
    for folder, _, names in sorted(os.walk(os.path.join(TESTS, "transcripts"))):
        found += [Transcript(os.path.join(folder, n)) for n in sorted(names) if n.endswith(".txt")]
    return [t for t in found if pattern in "transcripts/" + t.name]
