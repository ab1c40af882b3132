# SPDX-License-Identifier: Apache-2.0
"""A content filter behind the front door: what was accepted goes through it and comes back once, whatever dies meanwhile."""
import base64
import os
import re
import shutil
import smtplib
import socket
import subprocess
import time

from harness import wire
from harness.mxhost import EXTENSIONS, MailHost
from harness.server import Serve
from harness.wire import received

BODY = b"Subject: test %d\r\nFrom: <s@client.example>\r\nTo: <user1@example.test>\r\n\r\nbody\r\n.dot\r\n"
SENDER = "s@client.example"
FORWARDS = EXTENSIONS + ["XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def serve(t, smtp=None, submission=None, extra=""):
    """A server whose accepted mail goes to filters on these ports."""
    def conf(server):
        def section(name, port):
            filtered = f"content_filter = smtp:[127.0.0.1]:{port}\n" if port else ""
            return f"[{name}]\nlisten = 127.0.0.1:{server.ports[name]}\n{filtered}"
        return (section("smtp", smtp) + section("submission", submission) + section("reinject", None) +
                f"[imaps]\nlisten = 127.0.0.1:{server.ports['imaps']}\n[imap]\nlisten =\n[submissions]\nlisten =\n" + extra)
    return Serve(build=t.build, users=3, conf=conf)


class Filter(MailHost):
    """Marks a message and gives it back where `back` says."""

    def __init__(self, port, back=None, **faults):
        super().__init__("filter.test", "127.0.0.1", port, None, extensions=FORWARDS, **faults)
        self.back, self.given_back = back, 0
        self.replies["END"] = self.pass_on

    def pass_on(self, session, line):
        t = [t for t in self.transactions if t.session is session][-1]
        if self.back is None:
            return "451 4.5.0 not now"
        try:
            with smtplib.SMTP("127.0.0.1", self.back, local_hostname="filter.test", timeout=30) as smtp:
                smtp.ehlo()
                if smtp.has_extn("xforward") and session.forwarded:
                    smtp.docmd("XFORWARD", " ".join(f"{k}={v}" for k, v in session.forwarded.items()))
                smtp.sendmail(t.sender, t.recipients, b"X-Filtered: yes\r\n" + t.content)
            self.given_back += 1
        except (smtplib.SMTPException, OSError) as e:
            return f"451 4.5.0 {type(e).__name__}"
        return None


def send(server, n=0, to=("user1",)):
    smtp = wire.Smtp(server)
    try:
        return smtp.message(SENDER, [f"{r}@example.test" for r in to], BODY % n)
    finally:
        smtp.close()


def queued(server):
    return server.cli("queue", "list", "--json")


def is_empty(server):
    return not re.search(r'"number"\s*:\s*"?\d', queued(server))


def case_out_and_back(t):
    """Mail from outside goes to one filter, mail of users to another, told whom it came from; what comes back is delivered, not filtered
    again, and the trace id stays the same in all that is told."""
    with serve(t, free_port(), free_port()) as server:
        ports = [int(x) for x in re.findall(r"content_filter = smtp:\[127.0.0.1\]:(\d+)", open(server.conf_file, encoding="utf-8").read())]
        inward, users = Filter(ports[0], server.ports["reinject"]), Filter(ports[1], server.ports["reinject"])
        try:
            send(server, 1, ("user1", "user2"))
            for user in ("user1", "user2"):
                got = received(server, user)[0]
                assert got.count(b"X-Filtered: yes\r\n") == 1 and b"Subject: test 1" in got and b"\r\n.dot\r\n" in got, got
            assert inward.given_back == 1 and not users.transactions
            told = inward.transactions[0].session.forwarded
            assert told["ADDR"] == "127.0.0.1" and told["HELO"] == "client.example.net" and told["PROTO"] == "ESMTP", told
            assert int(told["PORT"]) > 1024 and told["SOURCE"] in ("LOCAL", "REMOTE"), told
            first = re.findall(rb"Received: [\s\S]*? id (\S+)", got)[-1].rstrip(b";")
            assert told["IDENT"].encode() == first, (told, got)
            # One trace id from the first client to the mailbox.
            traces = {re.search(r"trace=(\w+)", line).group(1) for line in server.log_text().splitlines() if "event=deliver " in line}
            assert traces == {told["IDENT"]}, (traces, told)
            assert f"ident={told['IDENT']}" in server.log_text()
            smtp = wire.Smtp(server, "submission")
            smtp.start_tls()
            smtp.command(b"AUTH PLAIN " + base64.b64encode(b"\0user1@example.test\0secret"), b"235")
            smtp.message("user1@example.test", ["user3@example.test"], b"Subject: mine\r\n\r\nx\r\n")
            assert b"X-Filtered" in received(server, "user3")[0]
            assert users.given_back == 1 and inward.given_back == 1
            t.until(lambda: is_empty(server), what="an empty queue")
        finally:
            inward.close()
            users.close()


def case_a_filter_that_is_down(t):
    """Nobody listens, it says later, it hangs up: mail waits; when it is back all of it comes, once."""
    port = free_port()
    with serve(t, port, extra="[queue]\nretry_min = 1 s\nretry_max = 1 s\n") as server:
        for n in range(5):
            send(server, n)
        t.until(lambda: "queue.deferred" in server.log_text(), what="the first deferral")
        filter_ = Filter(port)  # 451 to each
        try:
            server.cli("queue", "flush")
            t.until(lambda: len(filter_.transactions) >= 2, what="a try")
            imap = wire.Imap(server, "user1@example.test")
            assert imap.messages("INBOX") == 0
            filter_.drop = "DATA"
            server.cli("queue", "flush")
            time.sleep(0.3)
            filter_.drop, filter_.back = None, server.ports["reinject"]
            t.until(lambda: server.cli("queue", "flush") is not None and filter_.given_back >= 5, 60, what="all given back")
            subjects = sorted(re.search(rb"Subject: test (\d)", b).group(1) for b in received(server, "user1", 5))
            assert subjects == [b"0", b"1", b"2", b"3", b"4"]
            t.until(lambda: is_empty(server), what="an empty queue")
        finally:
            filter_.close()


def case_killed_on_the_way(t):
    """relay, queue, mta and all of the server are killed while mail goes through the filter: nothing is lost, and a second copy comes
    only where a filter had the message and its answer was lost."""
    port = free_port()
    with serve(t, port, extra="[queue]\nretry_min = 1 s\nretry_max = 1 s\n") as server:
        filter_ = Filter(port, server.ports["reinject"], delay={"END": 0.05})
        try:
            sent = 0
            for victim in ("relay", "queue", "mta", "master"):
                for _ in range(6):
                    send(server, sent)
                    sent += 1
                time.sleep(0.05)
                server.kill(victim)
                if victim != "master":
                    server.await_role(victim)
            def numbers():
                imap = wire.Imap(server, "user1@example.test")
                found = [int(re.search(rb"Subject: test (\d+)", b).group(1)) for _, b in imap.bodies("INBOX")]
                imap.close()
                return found
            t.until(lambda: server.cli("queue", "flush") is not None and set(numbers()) == set(range(sent)), 60, what="all of it")
            t.until(lambda: is_empty(server), 60, what="an empty queue")
            twice = len(numbers()) - sent
            assert len(numbers()) <= filter_.given_back + 4, (numbers(), filter_.given_back)
            t.note(f"{twice} of {sent} came twice")
        finally:
            filter_.close()


def case_a_filter_that_loops(t):
    """One that gives mail back to the front door, where it is filtered again: the hops end it, and the sender hears."""
    port = free_port()
    with serve(t, port) as server:
        filter_ = Filter(port, server.ports["smtp"])
        try:
            smtp = wire.Smtp(server)
            smtp.message("user2@example.test", ["user1@example.test"], BODY % 1)
            smtp.close()
            t.until(lambda: "5.4.6" in server.log_text(), 60, what="the end of the loop")
            assert filter_.given_back <= 60
            imap = wire.Imap(server, "user1@example.test")
            assert imap.messages("INBOX") == 0
        finally:
            filter_.close()


AMAVIS = """use strict;
$max_servers = 2; $max_requests = 20; $daemon_user = 'amavis'; $daemon_group = 'amavis';
$MYHOME = '{dir}'; $helpers_home = '{dir}/home'; $TEMPBASE = '{dir}/tmp'; $QUARANTINEDIR = undef;
$pid_file = '{dir}/db/pid'; $lock_file = '{dir}/db/lock'; $db_home = '{dir}/db'; $enable_db = 0; $enable_zmq = 0;
$do_syslog = 0; $LOGFILE = '{dir}/log/amavis.log'; $log_level = 1; $mydomain = 'example.test'; $myhostname = 'mail.example.test';
@local_domains_maps = (['.example.test']); $inet_socket_bind = '127.0.0.1'; $inet_socket_port = [{port}];
$forward_method = 'smtp:[127.0.0.1]:{back}'; $notify_method = $forward_method;
@bypass_virus_checks_maps = (1); @bypass_spam_checks_maps = (1); @bypass_banned_checks_maps = (1);
$final_spam_destiny = D_PASS; $final_banned_destiny = D_PASS; $final_bad_header_destiny = D_PASS;
$spam_quarantine_to = undef; $banned_quarantine_to = undef; $bad_header_quarantine_to = undef;
$enable_dkim_verification = 0; $enable_dkim_signing = 0; $X_HEADER_TAG = 'X-Virus-Scanned'; $X_HEADER_LINE = 'amavis';
1;
"""


def case_amavisd(t):
    """Amavisd of Debian: small and large mail, several recipients, an eight-bit one; it learns who the client was, and comes back once."""
    program = t.program("amavisd")
    folder, port = t.scratch(), free_port()
    os.chmod(folder, 0o755)
    for name in ("tmp", "db", "log", "home"):
        os.mkdir(os.path.join(folder, name))
        shutil.chown(os.path.join(folder, name), "amavis", "amavis")
    with serve(t, port) as server:
        conf = os.path.join(folder, "amavisd.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(AMAVIS.replace("{dir}", folder).replace("{port}", str(port)).replace("{back}", str(server.ports["reinject"])))
        with open(os.path.join(folder, "out"), "wb") as out:
            amavis = subprocess.Popen([program, "-c", conf, "foreground"], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            t.until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 60, what="Amavisd")
            send(server, 1, ("user1", "user2"))
            smtp = wire.Smtp(server)
            smtp.message(SENDER, ["user1@example.test"], (BODY % 2) + b"0123456789abcdef\r\n" * 60000)
            smtp.message(SENDER, ["user1@example.test"], (BODY % 3) + "gr\u00fc\u00dfe\r\n".encode(), b" BODY=8BITMIME")
            bodies = received(server, "user1", 3, timeout=60)
            assert all(b"(amavis, port" in b for b in bodies), bodies[0][:2000]
            assert {re.search(rb"Subject: test (\d)", b).group(1) for b in bodies} == {b"1", b"2", b"3"}
            assert "gr\u00fc\u00dfe".encode() in b"".join(bodies)
            received(server, "user2", 1)
            taken = {x for line in server.log_text().splitlines() if "event=smtp.accepted" in line and "helo=client" in line
                     for x in re.findall(r" trace=(\w+)", line)}
            delivered = {re.search(r"trace=(\w+)", line).group(1) for line in server.log_text().splitlines() if "event=deliver " in line}
            assert delivered == taken, (delivered, taken)
            with open(os.path.join(folder, "log", "amavis.log"), encoding="utf-8", errors="replace") as f:
                assert "[127.0.0.1]" in f.read()
            t.until(lambda: is_empty(server), what="an empty queue")
        finally:
            amavis.terminate()
            amavis.wait()
