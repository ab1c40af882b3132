# SPDX-License-Identifier: Apache-2.0
"""Behind a proxy: HAProxy and swaks before a server that is told whom to believe."""
import os
import re
import signal
import socket
import subprocess

from harness import wire
from harness.server import Serve

PASSWORD = "secret"
FRONT = "127.0.0.5"  # the proxy's own address, from which it connects


def conf(server):
    p = server.ports
    def section(name):
        return f"[{name}]\nlisten = 127.0.0.1:{p[name]}\nproxy_protocol_from = {FRONT}\n"
    return ("xclient_from = 127.0.0.6, 127.0.0.7\nxclient_login_from = 127.0.0.7\nid_from = 127.0.0.8\n"
            + "".join(section(n) for n in ("smtp", "submission", "submissions", "imap", "imaps"))
            + "[smtp]\nerrors_soft = 10\n[policy]\ngreylisting = off\n")


def serve(t):
    """The server of this file's cases, with HAProxy's certificate beside it."""
    return Serve(build=t.build, users=3, conf=conf)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class HaProxy:
    """One frontend per row of (name, bind options, port of ours, server options)."""

    def __init__(self, t, server, rows):
        folder = t.scratch()
        pem = os.path.join(folder, "both.pem")
        with open(pem, "w", encoding="ascii") as out:
            for name in ("cert.pem", "key.pem"):
                with open(os.path.join(server.dir, "tls", name), encoding="ascii") as f:
                    out.write(f.read())
        self.ports = {name: free_port() for name, *_ in rows}
        text = "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
        for name, bind, port, options in rows:
            text += (f"frontend f-{name}\n bind 127.0.0.1:{self.ports[name]} {bind.format(pem=pem)}\n"
                     f" default_backend b-{name}\nbackend b-{name}\n"
                     f" server barid 127.0.0.1:{port} source {FRONT} {options}\n")
        path = os.path.join(folder, "haproxy.cfg")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        self.proc = subprocess.Popen([t.program("haproxy"), "-db", "-f", path], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        t.until(lambda: all(self.answers(p) for p in self.ports.values()), what="HAProxy")

    @staticmethod
    def answers(port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait(10)


def begins(server):
    """(service, client, proxy, by) of each session that began behind a proxy."""
    return re.findall(r"event=session\.begin \S+ \S+ service=(\S+) peer=([\d.]+):\d+ proxy=([\d.]+):\d+ by=(\S+)",
                      server.log_text())


def case_haproxy_versions_1_and_2(t):
    """send-proxy and send-proxy-v2: limits and logs see the client; TLS passes through to our port 993."""
    with serve(t) as server:
        rows = [("smtp1", "", server.ports["smtp"], "send-proxy"),
                ("imap2", "", server.ports["imap"], "send-proxy-v2"),
                ("imaps2", "", server.ports["imaps"], "send-proxy-v2"),
                ("crc", "", server.ports["imap"], "send-proxy-v2 proxy-v2-options crc32c,unique-id")]
        with HaProxy(t, server, rows) as ha:
            for name in ("smtp1", "imap2", "crc"):
                w = wire.Wire("127.0.0.1", ha.ports[name], source="127.0.0.33")
                assert w.line()[:4] in (b"220 ", b"* OK"), name
                w.close()
            w = wire.Wire("127.0.0.1", ha.ports["imaps2"], tls=True, source="127.0.0.34")
            assert w.line().startswith(b"* OK")
            w.send(b"a LOGIN user1@example.test secret\r\n")
            assert w.line().startswith(b"a OK")
            w.close()
            seen = begins(server)
            for service, client in (("smtp", "127.0.0.33"), ("imap", "127.0.0.33"), ("imaps", "127.0.0.34")):
                assert (service, client, FRONT, "proxy") in seen, seen
            # One that is a proxy must say so, and one that is none must not.
            w = wire.Wire("127.0.0.1", server.ports["imap"], source=FRONT)
            w.send(b"a NOOP\r\n")
            try:
                raise AssertionError(w.line())
            except wire.Closed:
                pass
            t.until(lambda: 'session.proxy-header' in server.log_text(), what="a line about the header")


def case_haproxy_ends_tls(t):
    """send-proxy-v2-ssl to port 143: the password is as good as under TLS; without -ssl it is refused."""
    with serve(t) as server:
        rows = [("with", "ssl crt {pem}", server.ports["imap"], "send-proxy-v2-ssl"),
                ("without", "ssl crt {pem}", server.ports["imap"], "send-proxy-v2"),
                ("submission", "ssl crt {pem}", server.ports["submission"],
                 "send-proxy-v2 proxy-v2-options ssl,ssl-cipher,authority")]
        with HaProxy(t, server, rows) as ha:
            w = wire.Wire("127.0.0.1", ha.ports["with"], tls=True, source="127.0.0.35")
            greeting = w.line()
            assert b"STARTTLS" not in greeting and b"AUTH=PLAIN" in greeting, greeting
            w.send(b"a LOGIN user1@example.test secret\r\n")
            assert w.line().startswith(b"a OK")
            w.close()
            w = wire.Wire("127.0.0.1", ha.ports["without"], tls=True, source="127.0.0.35")
            assert b"LOGINDISABLED" in w.line()
            w.send(b"a LOGIN user1@example.test secret\r\n")
            assert w.line().startswith(b"a NO [PRIVACYREQUIRED]")
            w.close()
            t.run([t.program("swaks"), "--server", "127.0.0.1", "--port", str(ha.ports["submission"]),
                   "--tls-on-connect", "-a", "PLAIN", "-au", "user1@example.test", "-ap", PASSWORD,
                   "--from", "user1@example.test", "--to", "user2@example.test", "--body", "through the proxy"])
            imap = wire.Imap(server, "user2@example.test")
            t.until(lambda: imap.messages("INBOX"), what="delivery")
            imap.close()
            log = server.log_text()
            assert re.search(r"event=smtp\.accepted .* ip=127\.0\.0\.1 .* tls=\"TLSv1\.3 TLS_", log), log[-3000:]


def swaks(t, server, port, source, *options):
    """swaks as a front end from `source`; its whole output."""
    done = t.run([t.program("swaks"), "--server", "127.0.0.1", "--local-interface", source,
                  "--port", str(server.ports[port]), "--ehlo", "front.example", *options], check=False)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def case_swaks_speaks_xclient(t):
    """XCLIENT from a trusted front end: the client stands in Received and in the log; from others it is refused."""
    with serve(t) as server:
        options = ["--xclient-addr", "192.0.2.44", "--xclient-port", "4711", "--xclient-name", "client.example",
                   "--xclient-helo", "helo.client.example", "--xclient-proto", "ESMTP",
                   "--from", "a@client.example", "--to", "user2@example.test", "--body", "by XCLIENT"]
        code, text = swaks(t, server, "smtp", "127.0.0.6", *options)
        assert code == 0, text
        assert text.count("<-  220 ") == 2, text  # the greeting, twice
        imap = wire.Imap(server, "user2@example.test")
        t.until(lambda: imap.messages("INBOX"), what="delivery")
        received = imap.bodies("INBOX")
        imap.close()
        log = server.log_text()
        assert re.search(r"event=session\.peer .* peer=192\.0\.2\.44:4711 proxy=127\.0\.0\.6:\d+ by=xclient", log), log
        assert re.search(r"event=smtp\.accepted .* ip=192\.0\.2\.44 ", log), log
        assert b"helo.client.example (client.example [192.0.2.44])" in str(received).encode() or \
            "[192.0.2.44]" in str(received), received
        code, text = swaks(t, server, "smtp", "127.0.0.9", *options)
        assert code != 0 and "Host did not advertise XCLIENT" in text or "550 5.7.0" in text, text


def case_xclient_login(t):
    """LOGIN is believed of xclient_login_from alone, for users who may send."""
    with serve(t) as server:
        mail = ["--from", "user1@example.test", "--to", "user2@example.test", "--body", "by LOGIN", "-tls"]
        code, text = swaks(t, server, "submission", "127.0.0.7", "--xclient-addr", "192.0.2.44",
                           "--xclient-login", "user1@example.test", *mail)
        assert code == 0, text
        code, text = swaks(t, server, "submission", "127.0.0.7", "--xclient-addr", "192.0.2.44",
                           "--xclient-login", "nobody@example.test", *mail)
        assert code != 0 and "421 4.7.0" in text, text
        code, text = swaks(t, server, "submission", "127.0.0.6", "--xclient-addr", "192.0.2.44",
                           "--xclient-login", "user1@example.test", "--xclient-optional", *mail)
        assert code != 0, text
        # A sender of somebody else is refused as after AUTH.
        code, text = swaks(t, server, "submission", "127.0.0.7", "--xclient-login", "user1@example.test",
                           "--from", "user2@example.test", "--to", "user3@example.test", "-tls")
        assert code != 0 and "554 5.7.1" in text, text


def case_id_tells_the_client(t):
    """ID from a trusted webmail names the client for the log of the login."""
    with serve(t) as server:
        for source, seen in (("127.0.0.8", "192.0.2.55"), ("127.0.0.9", "127.0.0.9")):
            w = wire.Wire("127.0.0.1", server.ports["imaps"], tls=True, source=source)
            w.line()
            w.send(b'a ID ("x-originating-ip" "192.0.2.55")\r\nb LOGIN user1@example.test wrong\r\n')
            while not w.line().startswith(b"b NO"):
                pass
            w.close()
            assert re.search(rf"event=login .*{re.escape(seen)}", server.log_text()), seen
