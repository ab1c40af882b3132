# SPDX-License-Identifier: Apache-2.0
"""`barid trace` tells a newcomer what became of a message: one command, the answer in the first line.

And the log under it: rotated without losing a line, also by hands of others; levels at run time; one client looked at
closely, without its password.
"""
import base64
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request

from harness import wire
from harness.case import Skip

SMALL = {"BARID_DEMO_CONF": "[smtp]\nmessage_size_max = 64 KiB\nrecipients_max = 100\n"}
BODY = b"Subject: x\r\nMessage-ID: <%s@trace.example>\r\n\r\nhello\r\n"


def server_of(t):
    if not getattr(t.file, "trace_server", None):
        t.file.trace_server = t.file.shared = t.own_server(users=5, env=SMALL)
        t.file.shared.start()
    return t.file.trace_server


def trace(server, key, *options):
    return server.cli("trace", key, *options)


def first(server, key, *options):
    return trace(server, key, *options).splitlines()[0]


def refused(server, code, commands, port="smtp"):
    """Say the commands; the last one is to be refused with this code."""
    smtp = wire.Smtp(server, port)
    for command in commands[:-1]:
        smtp.command(command)
    smtp.command(commands[-1], code=code)
    smtp.close()


def submit(server, user, recipients, data, password="secret", code=b"2"):
    smtp = wire.Smtp(server, "submission")
    smtp.start_tls()
    login = base64.b64encode(b"\0%s@example.test\0%s" % (user.encode(), password.encode()))
    smtp.command(b"AUTH PLAIN " + login, code=code)
    if code == b"2":
        smtp.message(user + "@example.test", recipients, data)
    smtp.close()


def case_unknown_user(t):
    """Refused, the reply that was given, why, and what to do."""
    server = server_of(t)
    refused(server, b"550", [b"MAIL FROM:<carol@client.example>", b"RCPT TO:<Bobb@example.test>"])
    text = trace(server, "bobb@example.test")
    assert text.startswith("Refused: 550 5.1.1 <Bobb@example.test>: Recipient address rejected: User unknown"), text
    assert "no such user: bobb@example.test" in text and "barid user list" in text, text
    assert re.search(r"^  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d{4}  edge   127\.0\.0\.1:\d+ connected \(smtp\)\.$", text, re.M), text
    assert first(server, "BOBB@Example.Test") == text.splitlines()[0], "the case of letters matters"
    assert "bobb@" in first(server, "carol@client.example"), "the sender is no key"


def case_refusals_say_why(t):
    """Relay, TLS, forged sender, incomplete address, password: each has its reply and a way out."""
    server = server_of(t)
    refused(server, b"554", [b"MAIL FROM:<a@client.example>", b"RCPT TO:<far@away.example>"])
    assert first(server, "far@away.example").startswith("Refused: 554 5.7.1 <far@away.example>: Relay access denied")
    assert "barid domain list" in trace(server, "far@away.example")
    refused(server, b"530", [b"MAIL FROM:<user2@example.test>"], port="submission")
    assert first(server, "user2@example.test").startswith("Refused: 530 5.7.0 Must issue a STARTTLS command first")
    refused(server, b"550", [b"MAIL FROM:<ghost@example.test>", b"RCPT TO:<user1@example.test>"])
    assert first(server, "ghost@example.test").startswith("Refused: 550 5.1.0 <ghost@example.test>: Sender address rejected")
    refused(server, b"504", [b"MAIL FROM:<nodomain@localpart>", b"RCPT TO:<user1@example.test>"])
    assert "need fully-qualified address" in trace(server, "nodomain@localpart"), "sender without a full domain"
    submit(server, "user3", [], b"", password="hush-hush", code=b"5")
    text = trace(server, "user3@example.test")
    assert text.startswith("Login refused for user3@example.test at submission: wrong password"), text
    assert "hush-hush" not in text


def case_too_big_and_too_many(t):
    """A message over message_size_max, announced or not, and recipients over recipients_max."""
    server = server_of(t)
    refused(server, b"552", [b"MAIL FROM:<big@client.example> SIZE=70000"])
    assert "5.3.4 Message size exceeds the limit" in first(server, "big@client.example")
    assert "message_size_max" in trace(server, "big@client.example")
    smtp = wire.Smtp(server)
    try:
        smtp.message("huge@client.example", ["user1@example.test"], b"Subject: x\r\n\r\n" + b"y" * 76 * 1000 + b"\r\n")
        raise AssertionError("was accepted")
    except wire.Refused:
        pass
    smtp.close()
    assert "5.3.4" in first(server, "huge@client.example"), trace(server, "huge@client.example")
    smtp = wire.Smtp(server)
    smtp.command(b"MAIL FROM:<crowd@client.example>")
    for i in range(100):
        smtp.command(b"RCPT TO:<user1+%d@example.test>" % i)
    smtp.command(b"RCPT TO:<user4@example.test>", code=b"452")
    smtp.close()
    text = trace(server, "user4@example.test")
    assert text.startswith("Refused: 452 4.5.3 Too many recipients, for user4@example.test"), text
    assert "recipients_max" in text


def case_over_quota(t):
    """A full mailbox: the reply, and how to give it more."""
    with t.own_server(users=1) as server:
        server.cli("user", "set", "user1@example.test", "--quota", "1")
        imap = wire.Imap(server, "user1@example.test")
        imap.append("INBOX", b"Subject: fill\r\n\r\n" + (b"z" * 76 + b"\r\n") * 12800)
        imap.close()

        def full():
            smtp = wire.Smtp(server)
            smtp.command(b"MAIL FROM:<a@client.example> SIZE=200000")
            try:
                smtp.command(b"RCPT TO:<user1@example.test>", code=b"552")
                return True
            except wire.Refused:
                return False
            finally:
                smtp.close()
        t.until(full, what="the mailbox being full")
        text = trace(server, "user1@example.test")
        assert text.startswith("Refused: 552 5.2.2 Mailbox is full, for user1@example.test"), text
        assert "barid user set user1@example.test --quota" in text, text


def case_delivered_by_every_key(t):
    """Recipient, sender, Message-ID, queue number, address of the client, trace id: all lead to the same timeline."""
    server = server_of(t)
    server.cli("alias", "add", "team@example.test", "user1@example.test", "user2@example.test")
    smtp = wire.Smtp(server)
    smtp.message("dora@client.example", ["team@example.test"], BODY % b"Keys-1")
    smtp.close()
    key = "Keys-1@trace.example"
    t.until(lambda: "2 deliveries" in trace(server, key), what="both deliveries")
    text = trace(server, f"<{key}>")
    assert text.startswith("Delivered to "), text
    assert "team@example.test leads to 2 destinations: user1@example.test,user2@example.test" in text, text
    assert re.search(r"delivered to user1@example\.test: UID \d+", text), text
    number = re.search(r"Accepted as number (\d+)", text).group(1)
    identity = re.search(r"^  trace ([0-9a-f]+)$", text, re.M).group(1)
    for other in (number, identity, "dora@client.example", "team@example.test", "@client.example"):
        assert identity in trace(server, other), f"{other} does not lead there"
    data = json.loads(trace(server, key, "--json"))
    assert data["traces"][0]["result"] == "delivered" and data["traces"][0]["trace"] == identity
    events = [line["event"] for line in data["traces"][0]["lines"]]
    assert events[0] == "session.begin" and events.count("deliver") == 2, events
    assert len(events) <= 8, events
    raw = trace(server, key, "--raw").splitlines()
    assert all(f"trace={identity}" in line for line in raw) and len(raw) == len(events)
    code, text = server.cli("trace", "never@heard.example", check=False)
    assert code == 1 and "nothing about never@heard.example" in text, text


def case_one_message_of_many(t):
    """Of a connection with three messages only the one asked for is told, unless --all."""
    server = server_of(t)
    smtp = wire.Smtp(server)
    for name in (b"many-1", b"many-2", b"many-3"):
        smtp.message("lots@client.example", ["user1@example.test"], BODY % name)
    smtp.close()
    key = "many-2@trace.example"
    t.until(lambda: trace(server, key).startswith("Delivered"), what="delivery")
    text = trace(server, key)
    assert "many-1@" not in text and "many-3@" not in text and "left out" in text, text
    assert text.count("delivered to user1") == 1, text
    assert "many-1@" in trace(server, key, "--all")


def case_delayed_and_bounced(t):
    """Mail that waits says when it is tried again; when it is given up, who is told; both under the one id, also after
    a restart."""
    with t.own_server(users=2) as server:
        server.cli("domain", "add", "far.example", "--backupmx", "on", "--transport", "relay:[127.0.0.1]:1")
        submit(server, "user1", ["someone@far.example"], BODY % b"slow-1")
        t.until(lambda: "put off" in trace(server, "someone@far.example"), what="a deferral")
        text = trace(server, "someone@far.example")
        assert text.startswith("Waiting: delivery to someone@far.example was put off: 4.4.1"), text
        assert re.search(r"next at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text) and "barid queue flush" in text, text
        assert "sent by the login user1@example.test" in text, text
        identity = re.search(r"^  trace ([0-9a-f]+)$", text, re.M).group(1)
        server.stop()
        server.start()
        server.advance_clock(5 * 86400 + 10)
        t.until(lambda: "delivered to user1@example.test" in trace(server, identity), timeout=30, what="the report")
        text = trace(server, "someone@far.example")
        assert text.startswith("Could not be delivered to someone@far.example: 4.4.1"), text
        report = re.search(r"Report (\d+) \(about number 1: failed\) was made for user1@example\.test", text)
        assert report, text
        assert f"Number {report.group(1)} from <>" in text and "delivered to user1@example.test" in text, text
        assert f"trace {identity}" in trace(server, report.group(1)), "the report's number leads elsewhere"


def case_rotation_loses_nothing(t):
    """While mail flows the log is put aside again and again; every message is found whole afterwards."""
    with t.own_server(users=2) as server:
        done, sent = threading.Event(), []

        def flow():
            smtp = wire.Smtp(server)
            while not done.is_set():
                smtp.message("flow@client.example", ["user1@example.test"], BODY % (b"flow-%d" % len(sent)))
                sent.append(len(sent))
            smtp.close()
        thread = threading.Thread(target=flow)
        thread.start()
        folder = os.path.join(server.dir, "log")
        for i in range(6):
            server.cli("log", "rotate")
            if i == 2:  # as logrotate does it
                os.rename(os.path.join(folder, "barid.log"), os.path.join(folder, "barid.log-0other"))
                os.kill(server.proc.pid, signal.SIGUSR1)
            if i == 3:  # a role that starts meanwhile writes to the new file too
                server.kill("scan")
                server.await_role("scan")
            time.sleep(0.1)
        done.set()
        thread.join()
        names = os.listdir(folder)
        assert len(names) >= 4, names
        accepted = t.until(lambda: (lambda n: n if len(n["deliver"]) >= len(sent) else None)(numbers(folder)), what="deliveries")
        for event in ("queue.accepted", "smtp.accepted", "deliver"):
            missing = set(range(1, len(sent) + 1)) - accepted[event]
            assert not missing, f"{event} of {sorted(missing)[:5]} is in no file"
        t.note(f"{len(sent)} messages over {len(names)} files")
        assert trace(server, "flow-0@trace.example").startswith("Delivered")


def numbers(folder):
    found = {"queue.accepted": set(), "smtp.accepted": set(), "deliver": set()}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            for line in f:
                m = re.search(r"event=(queue\.accepted|smtp\.accepted|deliver) .*?number=(\d+)", line)
                if m:
                    found[m.group(1)].add(int(m.group(2)))
    return found


def case_size_and_total(t):
    """A small log_file_size puts files aside by itself, and log_total_size deletes the oldest; after a hard end it goes on."""
    folder = t.scratch()
    os.chmod(folder, 0o755)
    with t.own_server(users=1) as server:
        log = os.path.join(server.dir, "log")
        with open(os.path.join(log, "barid.log"), "a", encoding="ascii") as f:
            f.write(("x" * 1000 + "\n") * 68000)  # over 64 MiB
        t.until(lambda: len(os.listdir(log)) == 2, timeout=15, what="rotation by size")
        before = set(os.listdir(log))
        server.kill("master")
        smtp = wire.Smtp(server)
        smtp.message("after@client.example", ["user1@example.test"], BODY % b"after-1")
        smtp.close()
        t.until(lambda: trace(server, "after-1@trace.example").startswith("Delivered"), what="delivery")
        assert set(os.listdir(log)) == before


def case_full_disk(t):
    """The disk of the log is full: mail goes on, lines are counted as lost, and the log goes on when there is room."""
    if os.geteuid() != 0:
        raise Skip("not root: cannot mount a small disk")
    folder = t.scratch()
    os.chmod(folder, 0o755)
    with t.own_server(users=1) as server:
        log = os.path.join(server.dir, "log")
        server.stop()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", log], check=False, capture_output=True).returncode:
            raise Skip("cannot mount a tmpfs here")
        try:
            server.start()
            filler = os.path.join(log, "filler")
            fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
            try:
                while os.write(fd, b"x" * 4096):
                    pass
            except OSError:
                os.close(fd)
            smtp = wire.Smtp(server)
            for i in range(60):
                smtp.message("full@client.example", ["user1@example.test"], BODY % (b"full-%d" % i))
            imap = wire.Imap(server, "user1@example.test")
            t.until(lambda: imap.messages("INBOX") == 60, what="deliveries")
            imap.close()
            with urllib.request.urlopen(f"http://127.0.0.1:{server.ports['metrics']}/metrics", timeout=10) as reply:
                lost = sum(float(x) for x in re.findall(r"^barid_log_lines_lost_total\{.*\} (\S+)$", reply.read().decode(), re.M))
            assert lost > 0, "no line was lost: the disk was not full"
            os.unlink(filler)
            smtp.message("full@client.example", ["user1@example.test"], BODY % b"room-1")
            smtp.close()
            t.until(lambda: "Delivered" in server.cli("trace", "room-1@trace.example", check=False)[1], what="the log going on")
            assert trace(server, "room-1@trace.example").startswith("Delivered")
            t.note(f"{lost:.0f} lines lost")
        finally:
            server.stop()
            subprocess.run(["umount", "-l", log], check=False)


def case_levels_and_one_client(t):
    """`barid log level` holds over a role's restart; `barid log debug --peer` shows one client's dialogue, not its password."""
    with t.own_server(users=2) as server:
        server.cli("log", "level", "mta", "debug")
        server.kill("mta")
        server.await_role("mta")
        levels = {row["role"]: row["level"] for row in json.loads(server.cli("log", "level", "--json"))["rows"]}
        assert levels["mta"] == "debug" and levels["user"] == "info", levels
        wire.Smtp(server, hello=b"loud.example").close()
        t.until(lambda: "EHLO loud.example" in server.log_text(), what="the dialogue")
        server.cli("log", "level", "info")
        code, text = server.cli("log", "level", "nobody", "info", check=False)
        assert code == 1 and "No such role" in text
        server.cli("log", "debug", "--peer", "127.0.0.9", "--for", "1min")
        wire.Smtp(server, hello=b"quiet.example").close()
        smtp = wire.Smtp(server, "submission", source="127.0.0.9", hello=b"watched.example")
        smtp.start_tls()
        secret = base64.b64encode(b"\0user1@example.test\0secret")
        smtp.command(b"AUTH PLAIN " + secret)
        smtp.command(b"NOOP watched")
        smtp.close()
        imap = wire.Imap(server, source="127.0.0.9")
        imap.command(b"LOGIN user1@example.test secret")
        imap.command(b"SELECT INBOX")
        imap.close()
        text = t.until(lambda: (lambda x: x if "SELECT INBOX" in x else None)(trace(server, "127.0.0.9")), what="IMAP's lines")
        assert "NOOP watched" in text and "watched.example" in text, text
        everything = server.log_text()
        assert "quiet.example" not in everything
        assert secret.decode() not in everything and not re.search(r"event=\S+ .*\bsecret\b", everything)


def case_from_elsewhere(t):
    """--stdin reads what journald has; --follow shows lines as they come."""
    server = server_of(t)
    refused(server, b"550", [b"MAIL FROM:<pipe@client.example>", b"RCPT TO:<piped@example.test>"])
    lines = "".join(f"Nov 22 10:00:00 host barid[1]: {line}\n" for line in server.log_text().splitlines() if "event=" in line)
    done = subprocess.run([os.path.join(server.build, "barid"), "trace", "--stdin", "piped@example.test"], input=lines,
                          env=server.env, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("Refused: 550 5.1.1"), done.stdout
    with subprocess.Popen([os.path.join(server.build, "barid"), "trace", "--follow", "soon@example.test", "--dir", server.dir],
                          stdout=subprocess.PIPE, text=True, env=server.env) as follower:
        try:
            time.sleep(0.3)
            refused(server, b"550", [b"MAIL FROM:<pipe@client.example>", b"RCPT TO:<soon@example.test>"])
            line = follower.stdout.readline()
            assert "Refused RCPT for soon@example.test: 550" in line, line
            server.cli("log", "rotate")
            refused(server, b"550", [b"MAIL FROM:<pipe@client.example>", b"RCPT TO:<soon@example.test>"])
            for _ in range(4):
                line = follower.stdout.readline()
                if "Refused RCPT" in line:
                    break
            assert "Refused RCPT for soon@example.test: 550" in line, line
        finally:
            follower.kill()
