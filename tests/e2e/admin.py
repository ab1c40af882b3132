# SPDX-License-Identifier: Apache-2.0
"""Management: many accounts at once, and who may order what."""
import glob
import json
import os
import socket
import sqlite3
import subprocess
import time

from harness import wire
from harness.case import alone


def write(t, name, text):
    path = os.path.join(t.scratch(), name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def case_users_from_a_file(t):
    """Quoted fields, other separators and refusals: the good lines are added, each bad one is named with its line."""
    s = t.server()
    good = "".join(f'p{i}@example.test;"Person; {i}";word {i};1g\n' for i in range(150))
    path = write(t, "users.csv", "address;name;password;quota\r\n" + good + "nonsense;a;b;1g\np7@example.test;a;b;1g\nq@example.test;short\n")
    code, out = s.cli("user", "add", "--file", path, check=False)
    assert code == 1 and "150 added, 0 existed already, 3 refused" in out, (code, out)
    for line in (":152: nonsense", ":153: p7@example.test: p7@example.test exists", ":154: q@example.test"):
        assert line in out, (line, out)
    imap = wire.Imap(s, "p77@example.test", "word 77")
    imap.wire.close()
    assert "Person; 149" in s.cli("user", "show", "p149@example.test")
    _, out = s.cli("user", "add", "--file", path, "--skip-existing", check=False)
    assert "0 added, 151 existed already, 2 refused" in out, out


def case_file_without_columns(t):
    """A file whose first line names no columns changes nothing and says what it should look like."""
    s = t.server()
    path = write(t, "plain.csv", "x1@example.test,secret\n")
    code, err = s.cli("user", "add", "--file", path, check=False)
    assert code == 1 and "must name the columns" in err, (code, err)
    assert s.cli("user", "show", "x1@example.test", check=False)[0] != 0


def case_scopes(t):
    """--as: a domain's administrator, a user and a stranger may do what their scope allows, in dir, queue and master."""
    with t.own_server() as s:
        s.cli("domain", "add", "other.test")
        s.cli("user", "add", "z@other.test", "--password", "secret")
        s.cli("admin", "grant", "alice@example.test", "example.test")
        s.cli("admin", "grant", "postmaster@example.test", "ALL")

        def may(who, *words):
            return s.cli("--as", who, *words, check=False)[0] == 0

        head, boss, user = "alice@example.test", "postmaster@example.test", "bob@example.test"
        assert may(head, "user", "add", "new@example.test") and may(head, "queue", "list")
        assert may(boss, "status") and may(boss, "domain", "add", "third.test")
        assert may(user, "user", "set", user, "--name", "Bob") and may(user, "user", "show", user)
        # Commands that open files or ask roles themselves know no scope: not even for a global administrator.
        for words in (("backup", t.scratch() + "/b"), ("export", "--account", "z@other.test", "mbox", t.scratch() + "/m"),
                      ("trace", "z@other.test"), ("check",), ("doctor", "--offline")):
            for who in (head, boss):
                code, text = s.cli("--as", who, *words, check=False)
                assert code == 1 and "for the operator alone" in text, (who, words, text)
        # What a person gave a panel for a name or a member changes nobody's rights.
        assert not may("", "user", "list") and not may(head, "alias", "add", "x@example.test", "--as", boss)
        for who, words in ((head, ("user", "add", "new@other.test")), (head, ("user", "show", "z@other.test")), (head, ("status",)),
                           (head, ("user", "passwd", boss, "x")), (head, ("queue", "delete", "all")), (head, ("stop",)),
                           (user, ("user", "list")), (user, ("queue", "list")), (user, ("user", "set", user, "--quota", "9g")),
                           ("nobody@example.test", ("user", "list"))):
            assert not may(who, *words), (who, words)
        assert "z@other.test" not in s.cli("--as", head, "user", "list")
        assert "z@other.test" in s.cli("--as", boss, "quota", "list") and not may(user, "quota", "list")
        assert "z@other.test" not in s.cli("--as", head, "quota", "list")
        s.cli("user", "set", user, "--quota", "5g")
        listed = {r["user"]: r for r in json.loads(s.cli("quota", "list", "--json"))["rows"]}
        assert listed[user]["quota-bytes"] == 5 << 30 and "5 GiB" in s.cli("quota", "list"), listed
        assert may(head, "quota", "recount", user) and not may(head, "quota", "recount", "z@other.test")
        assert may(boss, "ports") and not may(head, "ports") and not may(head, "upgrade", "--status")
        s.cli("admin", "revoke", head, "example.test")
        assert not may(head, "user", "list")


def case_ports_and_packet_filter(t):
    """barid ports shows the sockets as the kernel has them; its packet filter is one that nft takes."""
    s = t.server()
    rows = json.loads(s.cli("--json", "ports"))["ports"]
    assert {r["port"] for r in rows if r["service"] != "sendmail"} == set(s.ports.values()), (rows, s.ports)
    assert all(r["reach"] == "this machine" and r["state"].startswith("serving") for r in rows), rows
    rules = s.cli("ports", "--nftables")
    assert "policy accept" in rules, rules
    nft = t.program("nft")
    if t.run([nft, "list", "tables"], check=False).returncode:
        t.note("no access to the kernel's tables: the rules were not checked by nft")
    else:
        t.run([nft, "-c", "-f", "-"], stdin=rules.encode())


def case_doctor_reads_dns(t):
    """barid doctor against a real name server: what is right is left alone, what is wrong comes with the record to publish."""
    s = t.server()
    tls = os.path.join(s.dir, "tls")
    conf = write(t, "doctor.conf", f"hostname = mail.example.test\nstate_dir = {s.dir}\nconnections_max = 1000\n"
                 f"[tls]\ncertificate = {tls}/cert.pem\nkey = {tls}/key.pem\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    zone = ["--host-record=mail.example.test,192.0.2.25", "--ptr-record=25.2.0.192.in-addr.arpa,other.example.test",
            "--mx-host=example.test,mail.example.test,10", "--txt-record=example.test,v=spf1 mx -all",
            "--txt-record=_dmarc.example.test,v=DMARC1; p=reject", "--txt-record=_dmarc.example.test,v=DMARC1; p=none"]
    dns = subprocess.Popen([t.program("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=",
                            "--pid-file=", "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={port}", "--local=/test/", *zone],
                           stderr=subprocess.DEVNULL)
    try:
        def look():
            code, out = s.cli("doctor", "-c", conf, "--json", "--resolver", f"127.0.0.1:{port}", check=False)
            found = json.loads(out)["findings"]
            return (code, found) if not any("no name server" in f["finding"] for f in found) else None
        code, found = t.until(look, what="the name server")
    finally:
        dns.terminate()
        dns.wait()
    assert code == 0, [f for f in found if f["level"] == "bad"]
    dns_lines = {f["finding"]: (f["level"], f["mend"]) for f in found if f["check"] == "dns"}

    def level(part):
        return [v for k, v in dns_lines.items() if part in k]

    assert level("mail for example.test comes to mail.example.test")[0][0] == "ok", dns_lines
    assert level("SPF of example.test: v=spf1 mx -all")[0][0] == "ok", dns_lines
    assert level("several DMARC")[0][0] == "warn", dns_lines
    assert level("192.0.2.25 is called other.example.test") == [
        ("warn", "Ask whoever gave you the address for: 25.2.0.192.in-addr.arpa. PTR mail.example.test.")], dns_lines
    certificates = [f for f in found if f["check"] == "certificate"]
    assert [f["level"] for f in certificates] == ["ok", "warn"], certificates
    assert any(f["check"] == "processes" and f["level"] == "ok" for f in found), found


def case_doctor_finds_what_is_missing(t):
    """A server that does not run, and a domain without anybody who reads abuse@."""
    with t.own_server() as s:
        s.stop()
        code, out = s.cli("doctor", "--offline", check=False)
        assert code == 1 and "the server does not run" in out and "nobody reads abuse@example.test" in out, (code, out)


def case_quota_is_counted_again(t):
    """Counters that somebody has spoilt are put right by barid quota recount, in the store and in dir's table."""
    with t.own_server() as s:
        imap = wire.Imap(s, "alice@example.test")
        for i in range(5):
            imap.append("INBOX", b"Subject: %d\r\n\r\n%s\r\n" % (i, b"x" * 1000))
        imap.wire.close()
        true = usage(t, s, lambda v: v > 5000)
        s.stop()
        for part in glob.glob(os.path.join(s.dir, "store", "**", "*.db"), recursive=True):
            with sqlite3.connect(part) as db:
                if db.execute("SELECT count(*) FROM account WHERE bytes > 5000").fetchone()[0]:
                    db.execute("UPDATE account SET bytes = bytes + 777777, messages = messages + 7")
                    db.execute("UPDATE mailbox SET size = size + 777777, num_exists = num_exists + 7 WHERE name = 'INBOX'")
            db.close()
        s.start()
        out = s.cli("quota", "recount", "all")
        assert "3 users counted, 1 corrected" in out and f"alice@example.test: {true} bytes in 5 messages" in out, out
        assert usage(t, s, lambda v: v == true) == true
        assert "0 corrected" in s.cli("quota", "recount", "alice@example.test")
        imap = wire.Imap(s, "alice@example.test")
        assert any(b"MESSAGES 5" in line for line in imap.command(b"STATUS INBOX (MESSAGES)"))
        imap.wire.close()


def usage(t, s, right):
    """used_quota of alice, when it is as expected."""
    def read():
        rows = json.loads(s.cli("user", "list", "--json"))["rows"]
        used = next(r["used-bytes"] for r in rows if r["user"] == "alice@example.test")
        return used if right(used) else None
    return t.until(read, what="the usage")


def high_water(pid):
    """MiB that the process has had in memory at most; 0 when it has just ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            return next((int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM")), 0.0)
    except OSError:
        return 0.0


@alone
def case_ten_thousand_accounts(t):
    """10,000 accounts from a file (one in ten with a password to hash), memory of the command flat, and a quick start."""
    with t.own_server() as s:
        stored = "{SSHA512}" + "A" * 99 + "=="
        lines = (f"n{i}@example.test,word-{i},,1g\n" if i % 10 == 9 else f"n{i}@example.test,,{stored},1g\n" for i in range(10000))
        path = write(t, "many.csv", "address,password,password-hash,quota\n" + "".join(lines))
        begin = time.monotonic()
        with open(os.path.join(t.scratch(), "out"), "w+", encoding="utf-8") as f:
            command = subprocess.Popen([os.path.join(s.build, "barid"), "user", "add", "--file", path, "--dir", s.dir],
                                       stdout=f, stderr=subprocess.DEVNULL, env=s.env)
            peak = 0.0
            while command.poll() is None:
                peak = max(peak, high_water(command.pid))
                time.sleep(0.05)
            f.seek(0)
            out = f.read()
        took = time.monotonic() - begin
        assert "10000 added" in out, out
        s.stop()
        ready = s.start()
        imap = wire.Imap(s, "n9999@example.test", "word-9999")
        imap.wire.close()
        t.note(f"{took:.1f} s, {10000 / took:.0f} a second, ready again in {ready:.2f} s, peak {peak:.0f} MiB")
        assert took < 120 and ready < 2 and 1 < peak < 100, (took, ready, peak)  # the figures stand in the note; a busy machine is no failure
