# SPDX-License-Identifier: Apache-2.0
"""A changed configuration counts as a whole, in every role, or not at all; nobody is disturbed by it."""
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time

from harness import wire
from harness.server import PortRange


def conf_path(server):
    return os.path.join(server.dir, "demo.conf")


def change(server, *pairs):
    """Replace lines of the configuration file: (pattern, text); a text that begins with + is added at the end."""
    with open(conf_path(server), encoding="utf-8") as f:
        text = f.read()
    for pattern, new in pairs:
        if pattern is None:
            text += new + "\n"
            continue
        text, n = re.subn(pattern, new, text, flags=re.M)
        assert n, (pattern, text)
    with open(conf_path(server), "w", encoding="utf-8") as f:
        f.write(text)


def reload(server, check=True):
    return server.cli("reload", check=check)


def rows(server):
    return {row["setting"]: row for row in json.loads(server.cli("reload", "--json"))["rows"]}


def hello(server, service="smtp", port=None):
    w = wire.Wire(server.host, port or server.ports[service])
    w.line()
    w.send(b"EHLO client.example.net\r\n")
    lines = []
    while True:
        lines.append(w.line())
        if lines[-1][3:4] == b" ":
            w.close()
            return b"".join(lines)


def case_live_settings_count_at_once(t):
    """Limits, hostname, log level and retry times change without a restart; open sessions go on and take the new ones."""
    with t.own_server(users=2) as server:
        imap = wire.Imap(server, "user1@example.test")
        imap.select("INBOX")
        smtp = wire.Smtp(server)
        pids = sorted(server.role_pids())
        change(server, (r"^\[smtp\]$", "[smtp]\nmessage_size_max = 100 KiB\nrecipients_max = 500"),
               (r"^hostname = .*", "hostname = mx2.example.test\nlog_level = debug\nuser_workers = 7"),
               (r"^\[imap\]$", "[imap]\nappend_size_max = 64 KiB\n"),
               (None, "[queue]\nretry_min = 7 s\nlifetime = 2 d\n[store]\nundelete = 3 d"))
        changed = rows(server)
        assert changed["smtp.message_size_max"]["now"] == "100 KiB", changed
        assert changed["smtp.message_size_max"]["effect"] == "in effect", changed
        assert changed["hostname"]["before"] == "mail.example.test", changed
        assert changed["user_workers"]["effect"] == "waits for a restart", changed
        assert set(changed) == {"smtp.message_size_max", "smtp.recipients_max", "hostname", "log_level",
                                "user_workers", "imap.append_size_max", "queue.retry_min", "queue.lifetime",
                                "store.undelete"}, changed
        assert b"SIZE 102400" in hello(server) and b"mx2.example.test" in hello(server)
        smtp.wire.send(b"MAIL FROM:<a@example.org> SIZE=200000\r\n")  # the session is older than the limit
        assert smtp.wire.line().startswith(b"552"), "the open session goes by the old size"
        imap.wire.send(b"b1 APPEND INBOX {70000}\r\n")
        assert b"TOOBIG" in imap.wire.line(), "the open session goes by the old size"
        assert sorted(server.role_pids()) == pids
        assert len([r for r in server.roles() if r["role"] == "user"]) != 7
        again = json.loads(server.cli("reload", "--json"))
        assert [r["setting"] for r in again["rows"]] == ["user_workers"], again
        imap.close()
        smtp.close()


def case_addresses_open_and_close(t):
    """A new address serves at once, one that goes takes no more; whoever is connected there stays. One that overlaps works."""
    spare = PortRange()
    try:
        with t.own_server(users=2) as server:
            new = spare.offset + 25
            imap = wire.Imap(server, "user1@example.test")
            change(server, (r"^(listen = 127.0.0.1:%d)$" % server.ports["smtp"], r"\1, 127.0.0.1:%d" % new))
            assert rows(server)["smtp.listen"]["effect"] == "in effect"
            assert b"250" in hello(server) and b"250" in hello(server, port=new)
            change(server, (r"^listen = 127.0.0.1:%d$" % server.ports["imaps"], "listen ="))
            reload(server)
            refuses(server.ports["imaps"])
            imap.select("INBOX")  # connected there
            change(server, (r"^listen = 127.0.0.1:\d+, 127.0.0.1:%d$" % new, "listen = 0.0.0.0:%d" % new))
            reload(server)  # 0.0.0.0 can only be bound when 127.0.0.1 is closed
            t.until(lambda: answers(server, new), what="the wider address")
            refuses(server.ports["smtp"])
            text = server.cli("ports")
            assert str(new) in text and str(server.ports["imaps"]) not in text, text
            server.kill("edge")  # its successor has the same addresses
            server.await_role("edge")
            assert b"250" in hello(server, port=new)
            imap.close()
    finally:
        spare.release()


def answers(server, port):
    """False while the narrower socket is being closed: who waits in its queue then is reset."""
    try:
        return b"250" in hello(server, port=port)
    except (OSError, wire.Closed):
        return False


def refuses(port):
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 2).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise AssertionError(f"port {port} still takes connections")


def case_a_bad_file_changes_nothing(t):
    """Every error is told with its line, the exit code is 1, and the server runs on as before; so for SIGHUP."""
    taken = socket.create_server(("127.0.0.1", 0))
    with t.own_server(users=1) as server:
        with open(conf_path(server), encoding="utf-8") as f:
            good = f.read()
        change(server, (r"^\[smtp\]$", "[smtp]\nmessage_size_max = 100 KiB\nerrors_soft = 30\nerrors_hard = 2\nfoo = 1"),
               (None, "[queue]\nretry_min = 2 parsecs"))
        code, text = reload(server, check=False)
        assert code == 1, (code, text)
        lines = good[:good.index("[smtp]")].count("\n")
        assert f"demo.conf:{lines + 5}: unknown setting foo" in text, text
        assert "retry_min = 2 parsecs: not understood" in text, text
        assert b"SIZE 15728640" in hello(server)
        for bad, want in (("[smtp]\nerrors_soft = 30\nerrors_hard = 2\n",
                           r"demo.conf:\d+: \[smtp\] errors_soft is larger than errors_hard"),
                          (f"[smtp]\nmessage_size_max = 100 KiB\nlisten = 127.0.0.1:{taken.getsockname()[1]}\n",
                           "another program has port"),
                          (f"[smtp]\nlisten = 127.0.0.1:{server.ports['imap']}\n", "is taken already, by smtp.listen"),
                          ("hostname = -x-\n", "not a host name")):
            with open(conf_path(server), "w", encoding="utf-8") as f:
                if bad.startswith("[smtp]"):
                    f.write(re.sub(r"^\[smtp\]$(\n.*listen.*)?", bad, good.replace("\nlisten", "\n#listen", 1), flags=re.M))
                else:
                    f.write(re.sub(r"^hostname.*", bad, good, flags=re.M))
            code, text = reload(server, check=False)
            assert code == 1 and re.search(want, text), (want, text)
            assert b"SIZE 15728640" in hello(server) and b"mail.example.test" in hello(server)
        os.kill(server.master_pid(), signal.SIGHUP)
        t.until(lambda: server.log_text().count("refused: the old configuration stays") == 6, what="SIGHUP's refusal")
        with open(conf_path(server), "w", encoding="utf-8") as f:
            f.write(good.replace("[smtp]", "[smtp]\nmessage_size_max = 100 KiB"))
        os.kill(server.master_pid(), signal.SIGHUP)
        t.until(lambda: b"SIZE 102400" in hello(server), what="SIGHUP's reload")
    taken.close()


def sizes(server, imap):
    """What the roles go by: mta, each user process by a session of its own."""
    found = [re.search(rb"SIZE (\d+)", hello(server)).group(1)]
    for session in imap:
        session.wire.send(b"x APPEND INBOX {%d}\r\n" % (80 * 1024))
        line = session.wire.line()
        if line.startswith(b"+"):
            session.wire.send(b"x" * (80 * 1024) + b"\r\n")
            session.wire.line()
            found.append(b"102400")
        else:
            found.append(b"65536")
    return set(found)


def case_roles_that_die_meanwhile(t):
    """A role that is killed while it prepares or commits, and master at its own two points: all go by one configuration."""
    with t.own_server(users=4) as server:
        kib = 64
        for role in ("mta", "user", "queue", "dir", "scan", "edge"):
            for point in ("role.prepare", "role.commit"):
                kib = 164 - kib
                change(server, (r"^\[smtp\]$(\nmessage_size_max.*)?", f"[smtp]\nmessage_size_max = {kib} KiB"),
                       (r"^\[imap\]$(\nappend_size_max.*)?", f"[imap]\nappend_size_max = {kib} KiB"))
                server.crash_point(role, point)
                reload(server)
                server.await_role(role)
                imap = [wire.Imap(server, f"user{i}@example.test") for i in (1, 2, 3, 4)]
                assert sizes(server, imap) == {b"%d" % (kib * 1024)}, (role, point, kib)
                for session in imap:
                    session.close()
        for point in ("master.reload.prepared", "master.reload.committed"):
            kib = 164 - kib
            change(server, (r"^\[smtp\]$(\nmessage_size_max.*)?", f"[smtp]\nmessage_size_max = {kib} KiB"))
            server.cli("debug", "crash-point", "master", point)
            pids = server.role_pids()
            reload(server, check=False)
            server.proc.wait(5)
            server.await_gone(pids)
            server.start()  # (the demo writes its file anew)
            server.caused.clear()
            server.allowed.clear()
            assert b"SIZE 15728640" in hello(server)


# --- certificates ---------------------------------------------------------------------------------


def make(t, folder, name, names, kind="ec", days=90):
    cert, key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
    algorithm = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["rsa:2048"]
    t.run([t.program("openssl"), "req", "-x509", "-newkey", *algorithm, "-nodes", "-keyout", key, "-out", cert,
           "-days", str(days), "-subj", f"/CN={names[0]}",
           "-addext", "subjectAltName=" + ",".join("DNS:" + n for n in names)])
    os.chmod(key, 0o600)
    return cert, key


def served(server, name, kind=None):
    """The certificate that a client who asks for this name gets: (subject, kind of key)."""
    args = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.ports['imaps']}", "-servername", name]
    if kind:
        args += ["-sigalgs", {"rsa": "RSA-PSS+SHA256", "ec": "ECDSA+SHA256"}[kind]]
    text = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False).stdout
    subject = re.search(r"^subject=CN ?= ?(\S+)", text, re.M)
    bits = re.search(r"Server public key is (\d+) bit", text)
    return (subject and subject.group(1), bits and ("rsa" if bits.group(1) == "2048" else "ec"))


def case_certificates_by_name(t):
    """SNI chooses by the names inside, full name before wildcard; RSA beside ECDSA; a reload disturbs nobody; a bad key is refused."""
    folder = t.scratch()
    one = make(t, folder, "one", ["mail.example.test"])
    one_rsa = make(t, folder, "one-rsa", ["mail.example.test"], kind="rsa")
    wild = make(t, folder, "wild", ["*.example.net"])
    exact = make(t, folder, "exact", ["mail.example.net"])
    old = make(t, folder, "soon", ["soon.example.net"], days=5)
    with t.own_server(users=1) as server:
        imap = wire.Imap(server, "user1@example.test")
        pairs = [one, wild, exact, one_rsa, old]

        def use(some):
            change(server, (r"^certificate = .*", "certificate = " + ", ".join(c for c, _ in some)),
                   (r"^key = .*", "key = " + ", ".join(k for _, k in some)))

        use(pairs)
        os.chmod(one[1], 0o644)
        text = reload(server)
        assert "one.key can be read by every user" in text and "soon.example.net ends on" in text, text
        assert served(server, "mail.example.test", "ec") == ("mail.example.test", "ec")
        assert served(server, "mail.example.test", "rsa") == ("mail.example.test", "rsa")
        assert served(server, "a.example.net")[0] == "*.example.net"
        assert served(server, "mail.example.net")[0] == "mail.example.net"
        assert served(server, "unknown.example")[0] == "mail.example.test"
        imap.select("INBOX")
        use([(one[0], exact[1])])
        code, text = reload(server, check=False)
        assert code == 1 and "does not belong" in text, text
        assert served(server, "a.example.net")[0] == "*.example.net"
        code, text = server.cli("check", "-c", conf_path(server), check=False)
        assert code == 1 and "does not belong" in text, text
        use([wild])
        reload(server)
        assert served(server, "mail.example.test")[0] == "*.example.net"
        server.kill("edge")
        server.await_role("edge")
        assert served(server, "mail.example.test")[0] == "*.example.net"
        assert "event=tls.certificate" in log_of(server) and "soon.example.net" in log_of(server)
        imap.close()
        assert ssl.OPENSSL_VERSION


def log_of(server):
    text = server.log_text()
    folder = os.path.join(server.dir, "log")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
            text += f.read()
    return text


def case_check_compares(t):
    """`barid check` shows what a reload would change, warns of oddities, and has an exit code for scripts."""
    with t.own_server(users=1) as server:
        same = json.loads(server.cli("check", "-c", conf_path(server), "--json"))
        assert same["good"] and same["server"] == "running" and same["changes"] == [], same
        change(server, (r"^\[smtp\]$", "[smtp]\nmessage_size_max = 100 KiB"),
               (r"^hostname = .*", "hostname = other.example\nscan_workers = 3\ntrusted_networks = 0.0.0.0/0"))
        found = json.loads(server.cli("check", "-c", conf_path(server), "--json"))
        effects = {c["setting"]: c["effect"] for c in found["changes"]}
        assert effects == {"smtp.message_size_max": "on reload", "hostname": "on reload",
                           "scan_workers": "after a restart",
                           "trusted_networks": "on reload, for new connections"}, effects
        text = server.cli("check", "-c", conf_path(server))
        assert "no certificate is for other.example" in text and "more than 16 million addresses" in text, text
        assert re.search(r"smtp.message_size_max +15 MiB +100 KiB +on reload", text), text
        code, _ = server.cli("check", "-c", conf_path(server), "--strict", check=False)
        assert code == 1
        change(server, (r"^hostname = .*", "hostname = _"))
        code, text = server.cli("check", "-c", conf_path(server), check=False)
        assert code == 1 and re.search(r"demo.conf:1: hostname = _: not a host name", text), text
        code, _ = server.cli("check", "--frob", check=False)
        assert code == 2
