# SPDX-License-Identifier: Apache-2.0
"""The milters of Debian before the door: libmilter by python3-milter, OpenDKIM, rspamd, spamass-milter, clamav-milter."""
import base64
import os
import re
import shutil
import signal
import socket
import subprocess

from harness import wire
from harness.case import Skip
from harness.server import Serve
from harness.wire import received, refusal

SENDER = "s@client.example"
BODY = b"Subject: test\r\nFrom: <s@client.example>\r\nTo: <user1@example.test>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n%s\r\nhello\r\n"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
# Built from halves, so that no scanner minds this file.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def serve(t, smtp=(), submission=()):
    def conf(server):
        def section(name, milters):
            listed = f"milters = {', '.join(milters)}\n" if milters else ""
            return f"[{name}]\nlisten = 127.0.0.1:{server.ports[name]}\n{listed}"
        return (section("smtp", smtp) + section("submission", submission)
                + f"[imaps]\nlisten = 127.0.0.1:{server.ports['imaps']}\n[imap]\nlisten =\n[submissions]\nlisten =\n")
    return Serve(build=t.build, users=3, conf=conf)


class Program:
    """A milter that runs beside the test; ready when `where` (a port, or the path of a socket) answers."""

    def __init__(self, t, command, where, folder, env=None):
        self.log = os.path.join(folder, "out.log")
        with open(self.log, "wb") as log:
            self.proc = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True,
                                         env={**os.environ, **(env or {})})
        try:
            t.until(lambda: self.proc.poll() is not None or self.answers(where), 60, what=f"{command[0]} answers")
            assert self.proc.poll() is None, f"{command[0]} ended:\n{self.text()}"
        except BaseException:
            self.close()
            raise

    @staticmethod
    def answers(where):
        with socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET) as s:
            return s.connect_ex(where if isinstance(where, str) else ("127.0.0.1", where)) == 0

    def text(self):
        with open(self.log, "rb") as f:
            return f.read().decode("utf-8", "replace")[-3000:]

    def close(self):
        try:
            os.killpg(self.proc.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.proc.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def send(server, body, to=("user1",), sender=SENDER):
    smtp = wire.Smtp(server)
    try:
        return smtp.message(sender, [f"{r}@example.test" for r in to], body)
    finally:
        smtp.close()


def submit(server, body):
    smtp = wire.Smtp(server, "submission")
    smtp.start_tls()
    smtp.command(b"AUTH PLAIN " + base64.b64encode(b"\0user1@example.test\0secret"), b"235")
    smtp.message("user1@example.test", ["user2@example.test"], body)
    smtp.close()


def scratch(t):
    folder = t.scratch()
    os.chmod(folder, 0o755)
    return folder


def case_libmilter(t):
    """python3-milter: every order by libmilter itself, over a UNIX socket that root alone may open."""
    if not os.path.exists("/usr/lib/python3/dist-packages/Milter"):
        raise Skip("python3-milter is not installed")
    folder = scratch(t)
    path = os.path.join(folder, "m.sock")
    script = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "harness", "pymilter.py")
    with Program(t, ["/usr/bin/python3", "-I", script, path], path, folder), serve(t, [f"py=unix:{path}"]) as server:
        def do(*orders, to=("user1",), extra=b""):
            return send(server, BODY % b"".join(b"X-Do: " + o + b"\r\n" for o in orders) + extra, to)
        do(b"addheader|X-A|1", b"chgheader|Subject|1|new", b"chgheader|X-Do|1|", b"addheader|X-Top|2|0", b"progress")
        got = received(server, "user1")[0]
        for want in (b"\r\nX-A: 1\r\n", b"\r\nSubject: new\r\n", b"\r\nX-Top: 2\r\n", b"helo=client.example.net", b"from=<s@client.example>"):
            assert want in got, (want, got)
        assert re.search(rb"X-Queue: (\S+)", got).group(1) in re.search(rb"Received: [\s\S]*? id (\S+)", got).group(0)
        do(b"replacebody|another body", b"addrcpt|<user2@example.test>", b"chgfrom|<other@client.example>")
        got = received(server, "user2")[0]
        assert got.endswith(b"\r\n\r\nanother body") and b"Return-Path: <other@client.example>" in got, got
        received(server, "user1", 2)
        do(b"delrcpt|<user1@example.test>", to=("user1", "user2"))
        received(server, "user2", 2)
        do(b"skip", b"accept", extra=b"x" * 70 + b"\r\n" * 100000)
        seen = re.search(rb"X-Seen: (.*)", received(server, "user1", 3)[2]).group(1)
        assert seen.count(b"body=") == 1, seen
        do(b"discard")
        do(b"quarantine|hm")
        assert refusal(lambda: do(b"reject")).startswith(b"550 5.7.1")
        assert refusal(lambda: do(b"tempfail")).startswith(b"451 4.7.1")
        assert refusal(lambda: do(b"reject-at-eoh")).startswith(b"550 5.7.1")
        said = refusal(lambda: do(b"accept", to=("user3",)))
        assert said == b"550-5.1.1 user3 has moved 100%\n550 5.1.1 for good", said
        assert refusal(lambda: send(server, BODY % b"", sender="refused-sender@client.example")).startswith(b"550")
        received(server, "user1", 3)


def case_opendkim(t):
    """OpenDKIM signs what a user submits; another one verifies it at the front door, and finds a broken signature broken."""
    for name in ("opendkim", "opendkim-genkey"):
        t.program(name)
    folder = scratch(t)
    t.run(["opendkim-genkey", "-b", "2048", "-d", "example.test", "-s", "sel", "-D", folder])
    with open(os.path.join(folder, "sel.txt"), encoding="ascii") as f:
        record = "".join(re.findall(r'"([^"]*)"', f.read()))
    with open(os.path.join(folder, "keys"), "w", encoding="ascii") as f:
        f.write(f"sel._domainkey.example.test {record}\n")
    ports = {mode: free_port() for mode in "sv"}
    def start(mode):
        conf = os.path.join(folder, f"{mode}.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"Socket inet:{ports[mode]}@127.0.0.1\nMode {mode}\nDomain example.test\nSelector sel\nKeyFile {folder}/sel.private\n"
                    f"Syslog no\nBackground no\nTestPublicKeys {folder}/keys\nCanonicalization relaxed/simple\nAlwaysAddARHeader yes\n"
                    f"InternalHosts {folder}/nobody\nExternalIgnoreList {folder}/nobody\nOversignHeaders From\nAuthservID mail.example.test\n"
                    "RequireSafeKeys no\n")
        with open(os.path.join(folder, "nobody"), "w", encoding="ascii") as f:
            f.write("192.0.2.99\n")
        return Program(t, [t.program("opendkim"), "-f", "-x", conf], ports[mode], folder)
    with start("s"), start("v"), serve(t, [f"verify=inet:127.0.0.1:{ports['v']}"], [f"sign=inet:127.0.0.1:{ports['s']}"]) as server:
        submit(server, b"Subject: signed\r\nFrom: <user1@example.test>\r\nTo: <user2@example.test>\r\n\r\nhello\r\n .\r\n\r\n")
        signed = received(server, "user2")[0]
        assert b"\r\nDKIM-Signature: v=1;" in signed, signed
        assert re.search(rb"h=[^;]*[Dd]ate", signed.replace(b"\r\n\t", b"").replace(b" ", b"")), "Date is not signed"
        # As another server would pass it on: without our trace fields.
        passed = signed[signed.index(b"DKIM-Signature:"):]
        send(server, passed, sender="user2@elsewhere.example")
        assert b"dkim=pass" in received(server, "user1")[0], received(server, "user1")[0]
        send(server, passed.replace(b"hello", b"hullo"), sender="user2@elsewhere.example")
        got = received(server, "user1", 2)[1]
        assert b"dkim=fail" in got and b"dkim=pass" not in got, got


def case_rspamd(t):
    """rspamd's proxy with its scanner: a score for an ordinary message, a refusal for its test pattern."""
    rspamd = t.program("rspamd")
    folder, port = scratch(t), free_port()
    conf = os.path.join(folder, "rspamd.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f'''options {{ filters = ""; pidfile = "{folder}/pid"; gtube_patterns = "all"; disable_hyperscan = true;
 dns {{ nameserver = ["127.0.0.1:{free_port()}"]; timeout = 0.1s; retransmits = 1; }} }}
logging {{ type = "file"; filename = "{folder}/log"; level = "info"; }}
worker "rspamd_proxy" {{ bind_socket = "127.0.0.1:{port}"; milter = yes; count = 1; upstream "local" {{ default = yes; self_scan = yes; }} }}
actions {{ reject = 15; add_header = 6; }}
modules {{ path = "/usr/share/rspamd/plugins/milter_headers.lua"; }}
milter_headers {{ use = ["x-spamd-bar", "x-spam-level"]; skip_local = false; skip_authenticated = false; extended_spam_headers = true; }}
''')
    command = [rspamd, "-i", "-f", "-c", conf, f"--var=DBDIR={folder}", f"--var=RUNDIR={folder}", f"--var=LOGDIR={folder}"]
    with Program(t, command, port, folder), serve(t, [f"rspamd=inet:127.0.0.1:{port}"]) as server:
        send(server, BODY % b"")
        got = received(server, "user1")[0]
        assert re.search(rb"\r\nX-Spamd?-", got), got
        said = refusal(lambda: send(server, (BODY % b"") + GTUBE + b"\r\n"))
        assert said.startswith(b"554 5.7.1") and b"milter rspamd" in server.log_text().encode(), said


def case_spamass_milter(t):
    """SpamAssassin by spamass-milter: marked, and its test pattern refused."""
    milter, spamd = t.program("spamass-milter"), t.program("spamd")
    folder, port = scratch(t), free_port()
    path = os.path.join(folder, "m.sock")
    os.mkdir(os.path.join(folder, "rules"))
    with open(os.path.join(folder, "rules", "a.cf"), "w", encoding="ascii") as f:
        f.write("required_score 5\nuse_bayes 0\nskip_rbl_checks 1\ndns_available no\nbody GTUBE /GTUBE-STANDARD/\nscore GTUBE 1000\n"
                "add_header all Status _YESNO_, score=_SCORE_\nadd_header spam Flag _YESNOCAPS_\nrewrite_header Subject [SPAM]\nbody MARKED /please-mark-me/\nscore MARKED 6\n")
    with open(os.path.join(folder, "rules", "init.pre"), "w", encoding="ascii") as f:
        f.write("loadplugin Mail::SpamAssassin::Plugin::Check\nloadplugin Mail::SpamAssassin::Plugin::BodyEval\n")
    rules = os.path.join(folder, "rules")
    with Program(t, [spamd, "-L", "-x", "-i", "127.0.0.1", "-p", str(port), "-C", rules, f"--siteconfigpath={rules}", "-m", "1",
                     "--syslog=stderr"], port, folder), \
            Program(t, [milter, "-p", path, "-r", "15", "--", "-p", str(port), "-d", "127.0.0.1"], path, folder), \
            serve(t, [f"sa=unix:{path}"]) as server:
        send(server, BODY % b"")
        got = received(server, "user1")[0]
        assert b"X-Spam-Status: No" in got, got
        send(server, (BODY % b"") + b"please-mark-me\r\n")
        got = received(server, "user1", 2)[1]
        assert b"X-Spam-Flag: YES" in got and b"Subject: [SPAM] test" in got, got
        assert refusal(lambda: send(server, (BODY % b"") + GTUBE + b"\r\n")).startswith(b"550 5.7.1")


def case_clamav_milter(t):
    """ClamAV by clamav-milter and a clamd with one signature: the test virus is refused, other mail is not."""
    milter, clamd = t.program("clamav-milter"), t.program("clamd")
    folder, port = scratch(t), free_port()
    os.mkdir(os.path.join(folder, "db"))
    with open(os.path.join(folder, "db", "test.ndb"), "w", encoding="ascii") as f:
        f.write(f"Eicar-Test:0:*:{EICAR.hex()}\n")
    shutil.chown(folder, "nobody")
    with open(os.path.join(folder, "clamd.conf"), "w", encoding="ascii") as f:
        f.write(f"Foreground yes\nDatabaseDirectory {folder}/db\nLocalSocket {folder}/clamd.sock\nUser nobody\nTemporaryDirectory {folder}\n")
    with open(os.path.join(folder, "milter.conf"), "w", encoding="ascii") as f:
        f.write(f"Foreground yes\nMilterSocket inet:{port}@127.0.0.1\nClamdSocket unix:{folder}/clamd.sock\nOnInfected Reject\n"
                f"RejectMsg Infected: %v\nAddHeader Replace\nUser nobody\nTemporaryDirectory {folder}\n")
    with Program(t, [clamd, "-c", f"{folder}/clamd.conf"], f"{folder}/clamd.sock", folder), \
            Program(t, [milter, "-c", f"{folder}/milter.conf"], port, folder), serve(t, [f"clamav=inet:127.0.0.1:{port}"]) as server:
        send(server, BODY % b"")
        assert b"X-Virus-Scanned" in received(server, "user1")[0]
        said = refusal(lambda: send(server, (BODY % b"") + EICAR + b"\r\n"))
        assert said.startswith(b"550 5.7.1 Infected: Eicar-Test"), said
        send(server, BODY % b"X-Large: yes\r\n" + b"0123456789abcdef\r\n" * 200000)
        received(server, "user1", 2)

