# SPDX-License-Identifier: Apache-2.0
"""Clients that mean harm, each in a process of its own that is nice to all others.

    with Attack(server, "connect_and_reset", "smtp", rate=2000) as a:
        ...
    a.told["connections"]

An attack is a function of this file: what it needs, a `Budget` that says when to end and how fast to go, and back comes a
dict of figures. Its process runs at nice 19: on a machine that attacker and server share, an attacker that competes for the
processor would be what the others wait for; at nice 19 it takes what the server leaves, as one on another machine would.
"""
import ctypes
import ctypes.util
import itertools
import json
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import time

if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import wire  # noqa: E402  (needs the path above)

RESET = struct.pack("ii", 1, 0)


class Attack:
    """Starts with the `with` block, ends with it."""

    def __init__(self, server, kind, *args, seconds=120.0, **options):
        self.told = {}
        what = {"kind": kind, "host": server.host, "ports": server.ports, "args": args, "options": options, "seconds": seconds}
        self.proc = subprocess.Popen([sys.executable, "-S", os.path.abspath(__file__), json.dumps(what)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, preexec_fn=lambda: os.nice(19))

    def __enter__(self):
        self.proc.stdout.readline()  # it has begun
        return self

    def __exit__(self, *unused):
        self.proc.stdin.close()  # it ends when its input does
        ready = select.select([self.proc.stdout], [], [], 3.0)[0]
        line = self.proc.stdout.readline() if ready else b""  # at nice 19 it may have no time for last words
        self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()
        self.told = json.loads(line or b"{}")


class Target:
    """The server as the attacker knows it, and a budget."""

    def __init__(self, host, ports, seconds):
        self.host, self.ports = host, ports
        self.end = time.monotonic() + seconds
        self.begun = time.monotonic()
        self.done = 0
        os.set_blocking(0, False)

    def goes_on(self, rate=None):
        """False when it is over; sleeps where `rate` per second was exceeded. Call it once per blow."""
        self.done += 1
        if rate:
            ahead = self.done / rate - (time.monotonic() - self.begun)
            if ahead > 0.002:
                time.sleep(ahead)
        if self.done % 8 == 0 or (rate or 1000) < 50:
            return time.monotonic() < self.end and not self.told_to_end()
        return True

    def told_to_end(self):
        try:
            return os.read(0, 1) == b""
        except BlockingIOError:
            return False

    def rest(self):
        while time.monotonic() < self.end and not self.told_to_end():
            time.sleep(0.02)

    def connect(self, port, source="127.0.60.1", timeout=2.0):
        s = socket.socket()
        s.settimeout(timeout)
        s.bind((source, 0))
        s.connect((self.host, self.ports[port]))
        return s


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    s.close()


def sources(n):
    """n addresses, again and again."""
    return itertools.cycle([f"127.0.{60 + i // 250}.{i % 250 + 1}" for i in range(n)])


def client_hello():
    """The first bytes of a TLS client."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = wire.tls_context().wrap_bio(into, out, server_hostname="mail.example.test")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


# --- floods of connections

def connect_and_reset(t, port, rate=None, addresses=1, data=""):
    refused = 0
    for source in sources(addresses):
        try:
            s = t.connect(port, source)
            if data:
                s.send(data.encode())
            reset(s)
        except OSError:
            refused += 1
        if not t.goes_on(rate):
            return {"connections": t.done, "failed": refused}


def connect_and_hold(t, port, number=200, addresses=1, data=""):
    """As many connections as it gets, and again those that the server ended."""
    held, tried, refused = {}, 0, 0
    source = sources(addresses)
    while True:
        for _ in range(50):
            if len(held) >= number:
                break
            try:
                s = t.connect(port, next(source))
                if data:
                    s.send(data.encode("latin-1"))
                s.setblocking(False)
                held[s] = True
                tried += 1
            except OSError:
                refused += 1
        for s in list(held):
            try:
                if s.recv(4096) == b"":
                    raise ConnectionError
            except BlockingIOError:
                continue
            except OSError:
                s.close()
                del held[s]
        if not t.goes_on(20):
            return {"connections": tried, "failed": refused, "held": len(held)}


# --- TLS

def hello_and_reset(t, port, rate=None, addresses=1):
    """The server computes, the attacker does not: a recorded first message, then gone."""
    hello, failed = client_hello(), 0
    for source in sources(addresses):
        try:
            s = t.connect(port, source)
            s.send(hello)
            s.recv(1)
            reset(s)
        except OSError:
            failed += 1
        if not t.goes_on(rate):
            return {"handshakes": t.done, "failed": failed}


def handshakes(t, port, rate=None, addresses=1):
    context, failed = wire.tls_context(), 0
    for source in sources(addresses):
        try:
            s = context.wrap_socket(t.connect(port, source))
            reset(s)
        except OSError:
            failed += 1
        if not t.goes_on(rate):
            return {"handshakes": t.done, "failed": failed}


def key_updates(t, port, rate=None):
    """TLS 1.3: change the keys, and ask the server to, again and again."""
    lib = ctypes.CDLL(ctypes.util.find_library("ssl") or "libssl.so.3")
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(lib, name).restype = ctypes.c_void_p
    ctx = ctypes.c_void_p(lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method())))
    ended = 0
    while True:
        s = t.connect(port)
        s.settimeout(None)
        s.setblocking(True)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 1, 0))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 1, 0))
        tls = ctypes.c_void_p(lib.SSL_new(ctx))
        lib.SSL_set_fd(tls, s.fileno())
        if lib.SSL_connect(tls) == 1:
            while True:
                lib.SSL_key_update(tls, 1)
                if lib.SSL_do_handshake(tls) != 1:
                    ended += 1
                    break
                if not t.goes_on(rate):
                    return {"updates": t.done, "ended": ended}
        lib.SSL_free(tls)
        s.close()
        if not t.goes_on(rate):
            return {"updates": t.done, "ended": ended}


# --- talk

def pour(t, port, text, times=1, tls=False, rate=None, login="", read=True):
    """Send a text many times over without waiting for answers, over and over; it reads, or does not."""
    data, sent, ended = text.encode("latin-1") * times, 0, 0
    while True:
        try:
            w = wire.Wire(t.host, t.ports[port], tls=tls, source="127.0.60.1", timeout=5.0)
            w.line()
            if login:
                w.send(f"a LOGIN {login} secret\r\n".encode())
                while not w.line().startswith(b"a "):
                    pass
            w.sock.settimeout(0.5)
            while True:
                begun = time.monotonic()
                view = memoryview(data)
                w.sock.setblocking(False)
                while view and time.monotonic() < begun + 5:
                    try:
                        n = w.sock.send(view[:65536])
                        view = view[n:]
                        sent += n
                    except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                        time.sleep(0.001)
                    try:
                        if read and w.sock.recv(262144) == b"":
                            raise wire.Closed
                    except (BlockingIOError, ssl.SSLWantReadError):
                        pass
                    if not t.goes_on():
                        return {"bytes": sent, "ended": ended}
                if not t.goes_on(rate):
                    return {"bytes": sent, "ended": ended}
        except (OSError, wire.Closed, wire.Timeout):
            ended += 1
            if not t.goes_on(20):
                return {"bytes": sent, "ended": ended}


def commands(t, user, texts, connections=4, mailbox="INBOX", pause=0.0):
    """A logged-in user, in several sessions, asks for what is dear; the next when the last was answered."""
    import threading  # pylint: disable=import-outside-toplevel

    class Server:
        host, ports = t.host, t.ports
    done, errors = [0], []

    def work(n):
        try:
            imap = wire.Imap(Server, user, source="127.0.60.1", timeout=120.0)
            imap.select(mailbox)
            for text in itertools.cycle(texts):
                try:
                    imap.command(text.encode("latin-1"))
                except wire.Refused as e:
                    errors.append(str(e)[:100])
                done[0] += 1
                time.sleep(pause)
        except (OSError, wire.Closed, wire.Timeout, wire.Refused) as e:
            errors.append(repr(e)[:100])
    for n in range(connections):
        threading.Thread(target=work, args=(n,), daemon=True).start()
    t.rest()
    return {"commands": done[0], "errors": len(errors), "error": errors[:1]}


def guesses(t, port="submissions", user="user9@example.test", connections=16, addresses=1):
    """Wrong passwords, a new connection for each, nobody waits for the answer."""
    context, source, failed, held = wire.tls_context(), sources(addresses), 0, []
    while True:
        try:
            s = context.wrap_socket(t.connect(port, next(source)))
            s.send(b"EHLO x\r\n" if port.startswith("sub") else b"")
            s.recv(4096)
            s.send(b"AUTH PLAIN AHVzZXI5QGV4YW1wbGUudGVzdAB3cm9uZw==\r\n" if port.startswith("sub")
                   else b"a LOGIN " + user.encode() + b" wrong%d\r\n" % t.done)
            held.append(s)
        except OSError:
            failed += 1
        while len(held) > connections:
            reset(held.pop(0))
        if not t.goes_on(500):
            return {"guesses": t.done, "failed": failed}


def deliveries(t, recipient, text="Subject: storm\r\n\r\nx\r\n", connections=2, sender="storm@client.example.net"):
    """Mail to one mailbox as fast as it is taken."""
    import threading  # pylint: disable=import-outside-toplevel

    class Server:
        host, ports = t.host, t.ports
    done, errors = [0], []

    def work():
        try:
            smtp = wire.Smtp(Server, source="127.0.60.1")
            while True:
                smtp.message(sender, [recipient], text.encode("latin-1"))
                done[0] += 1
        except (OSError, wire.Closed, wire.Timeout, wire.Refused) as e:
            errors.append(repr(e)[:100])
    for _ in range(connections):
        threading.Thread(target=work, daemon=True).start()
    t.rest()
    return {"messages": done[0], "error": errors[:1]}


def main():
    what = json.loads(sys.argv[1])
    target = Target(what["host"], what["ports"], what["seconds"])
    print("begun", flush=True)
    told = globals()[what["kind"]](target, *what["args"], **what["options"])
    told["seconds"] = round(time.monotonic() - target.begun, 2)
    print(json.dumps(told), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
