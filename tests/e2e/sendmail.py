# SPDX-License-Identifier: Apache-2.0
"""Programs of this machine send by the command sendmail; other mail servers deliver by LMTP."""
import os
import re
import smtplib
import subprocess
import threading
import time

from harness import wire
from harness.case import Skip
from harness.peermta import Postfix, unpacked

USAGE, NOUSER, TEMPFAIL = 64, 67, 75


def sendmail(t, *args, stdin=b"", name="sendmail", check=0, home=None, server=None):
    """The command under the name that programs call it by; returns what it said."""
    server = server or t.server()
    folder = t.scratch()
    path = os.path.join(folder, name)
    os.symlink(os.path.join(server.build, "libexec", "barid-sendmail"), path)
    env = {"BARID_SENDMAIL_SOCKET": os.path.join(server.dir, "sendmail.sock"), "HOME": home or folder}
    done = subprocess.run([path, *args], input=stdin, capture_output=True, timeout=120, check=False,
                          env=dict(os.environ, **env))
    assert done.returncode == check, f"exit {done.returncode}, not {check}: {done.stdout!r} {done.stderr!r}"
    return done.stdout + done.stderr


def inbox(t, user, server=None):
    imap = wire.Imap(server or t.server(), f"{user}@example.test")
    try:
        return [body for _, body in imap.bodies("INBOX")]
    finally:
        imap.close()


def arrived(t, user, text, server=None):
    def find():
        return [b for b in inbox(t, user, server) if text in b]
    found = t.until(find, what=f"delivery of {text!r}")
    assert len(found) == 1, f"{len(found)} copies of {text!r}"
    return found[0]


def case_as_programs_call_it(t):
    """cron, PHP and scripts: their options, what is completed, and the exit codes of sysexits.h."""
    sendmail(t, "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "user1@example.test",
             stdin=b"From: root (Cron Daemon)\nTo: user1\nSubject: Cron <root@h> job\n\n10%\r50%\r100%\n.\nafter the dot\n")
    body = arrived(t, "user1", b"Cron <root@h>")
    assert b"\r\n10%\r\n50%\r\n100%\r\n.\r\nafter the dot\r\n" in body, body
    assert re.search(rb"^Date: .*\r\n", body, re.M) and re.search(rb"^Message-ID: <.*>\r\n", body, re.M), body
    assert f"(barid, from userid {os.getuid()})".encode() in body, body

    sendmail(t, "-t", "-i", "-f", "web@example.test",
             stdin=b"To: User <user2@example.test>\r\nBcc: user3@example.test\r\nSubject: from a web page\r\n\r\nhi\r\n")
    for user in ("user2", "user3"):
        body = arrived(t, user, b"from a web page")
        assert b"Bcc" not in body and b"Return-Path: <web@example.test>" in body, body
        assert b"From: web@example.test\r\n" in body, body

    sendmail(t, "user1@example.test", stdin=b"Subject: ended by it\n\nbefore\n.\nafter\n")
    assert b"after" not in arrived(t, "user1", b"ended by it")
    sendmail(t, "-bs", stdin=b"EHLO me\r\nMAIL FROM:<me@example.test>\r\nRCPT TO:<user1@example.test>\r\nDATA\r\n")
    home = t.scratch()
    out = sendmail(t, "nobody@example.test", stdin=b"Subject: kept\n\n", check=NOUSER, home=home)
    assert b"User unknown" in out and b"dead.letter" in out, out
    with open(os.path.join(home, "dead.letter"), "rb") as f:
        assert b"Subject: kept" in f.read()
    sendmail(t, "-t", stdin=b"Subject: nobody\n\n", check=USAGE)
    sendmail(t, name="newaliases")
    out = sendmail(t, "-bv", "user1@example.test", "nobody@example.test", check=NOUSER)
    assert b"user1@example.test... deliverable" in out and b"nobody@example.test... 550" in out, out


def case_smtp_on_standard_input(t):
    """sendmail -bs: a whole dialogue, as mail programs hold it with a server of their own."""
    out = sendmail(t, "-bs", stdin=b"EHLO me\r\nMAIL FROM:<me@example.test>\r\nRCPT TO:<user4@example.test>\r\n"
                   b"RSET\r\nQUIT\r\n")
    assert out.startswith(b"220 ") and b"250 2.1.5" in out and b"221 2.0.0" in out, out


def case_mail_programs(t):
    """mailx and neomutt with their own idea of sendmail."""
    server, folder = t.server(), t.scratch()
    path = os.path.join(server.build, "libexec", "barid-sendmail")
    env = {"BARID_SENDMAIL_SOCKET": os.path.join(server.dir, "sendmail.sock"), "HOME": folder, "LC_ALL": "C.UTF-8"}
    with open(os.path.join(folder, ".mailrc"), "w", encoding="utf-8") as f:
        f.write(f"set sendmail={path}\n")
    t.run([t.program("bsd-mailx"), "-s", "from mailx", "-c", "user6@example.test", "user5@example.test"],
          stdin=b"hello\n", env=env)
    for user in ("user5", "user6"):
        arrived(t, user, b"Subject: from mailx")
    with open(os.path.join(folder, "rc"), "w", encoding="utf-8") as f:
        f.write(f'set sendmail="{path} -oem -oi"\nset from="user7@example.test"\nset use_envelope_from=yes\n'
                'set realname="User Seven"\nset copy=no\nset charset="utf-8"\n')
    t.run([t.program("neomutt"), "-n", "-F", os.path.join(folder, "rc"), "-s", "by neomutt", "-b", "user6@example.test",
           "--", "user5@example.test"], stdin="Grüße\n.\nEnde\n".encode(), env=env)
    for user in ("user5", "user6"):
        body = arrived(t, user, b"Subject: by neomutt")
        assert b"Return-Path: <user7@example.test>" in body and b"Bcc" not in body, body


def command(t, folder):
    """The command as sendmail in a folder, and what programs need in their environment."""
    server = t.server()
    path = os.path.join(folder, "sendmail")
    os.symlink(os.path.join(server.build, "libexec", "barid-sendmail"), path)
    return path, {"BARID_SENDMAIL_SOCKET": os.path.join(server.dir, "sendmail.sock"), "HOME": folder, "LC_ALL": "C.UTF-8"}


def case_mutt(t):
    """mutt hands over a message with an attachment, and says who the recipients are."""
    folder = t.scratch()
    path, env = command(t, folder)
    with open(os.path.join(folder, "rc"), "w", encoding="utf-8") as f:
        f.write(f'set sendmail="{path} -oem -oi"\nset from="user7@example.test"\nset use_envelope_from=yes\nset copy=no\n')
    t.run([unpacked("mutt", "usr/bin/mutt"), "-n", "-F", os.path.join(folder, "rc"), "-s", "by mutt", "-c", "user6@example.test",
           "-a", os.path.join(folder, "rc"), "--", "user5@example.test"], stdin=b"Hello\n.\nend\n", env=env)
    for user in ("user5", "user6"):
        body = arrived(t, user, b"Subject: by mutt")
        assert b"Return-Path: <user7@example.test>" in body and b"\r\n.\r\nend\r\n" in body and b"multipart/mixed" in body, body


def case_git_send_email(t):
    """git send-email sends a patch: one transaction for all of To and Cc, and reads the exit code."""
    script = unpacked("git-email", "usr/lib/git-core/git-send-email")
    git, folder = t.program("git"), t.scratch()
    if not os.path.exists("/usr/share/perl5/Git.pm"):
        raise Skip("git has no Git.pm here")
    path, env = command(t, folder)
    env |= {"GIT_AUTHOR_NAME": "User Seven", "GIT_AUTHOR_EMAIL": "user7@example.test", "GIT_COMMITTER_NAME": "User Seven",
            "GIT_COMMITTER_EMAIL": "user7@example.test", "GIT_EXEC_PATH": subprocess.check_output([git, "--exec-path"]).decode().strip()}
    repo = os.path.join(folder, "repo")
    env["PATH"] = os.environ.get("PATH", "") + ":" + env["GIT_EXEC_PATH"]
    t.run([git, "init", "-q", repo], env=env)
    with open(os.path.join(repo, "file"), "w", encoding="ascii") as f:
        f.write("a line\n.\nFrom here on\n")
    for args in (["add", "file"], ["commit", "-q", "-m", "a patch by mail"], ["format-patch", "-q", "-1", "-o", folder, "--root"]):
        t.run([git, *args], env=env, cwd=repo)
    patch = os.path.join(folder, "0001-a-patch-by-mail.patch")
    options = ["--sendmail-cmd", path, "--from", "User Seven <user7@example.test>", "--suppress-cc=all", "--confirm=never",
               "--envelope-sender=auto"]
    t.run(["perl", script, *options, "--to", "user5@example.test", "--cc", "User Six <user6@example.test>", patch], env=env, cwd=repo)
    for user in ("user5", "user6"):
        body = arrived(t, user, b"Subject: [PATCH] a patch by mail")
        assert b"Return-Path: <user7@example.test>" in body and b"\r\n+.\r\n+From here on\r\n" in body, body
        assert body.count(b"\r\nDate: ") == 1 and body.count(b"\r\nMessage-Id: ") + body.count(b"\r\nMessage-ID: ") == 1, body
    done = t.run(["perl", script, *options, "--to", "nobody@example.test", patch], env=env, cwd=repo, check=False)
    assert done.returncode != 0 and b"User unknown" in done.stdout + done.stderr, done


def case_php(t):
    """PHP's mail(): the default command with -t -i, additional headers and -f; false when nobody takes it."""
    php, folder = unpacked("php8.2-cli", "usr/bin/php8.2"), t.scratch()
    path, env = command(t, folder)
    script = """
        $ok = mail("User Five <user5@example.test>, user6@example.test", "by PHP", "Hello\n.\nline two",
                   "From: Shop <shop@example.test>\r\nBcc: user7@example.test\r\nX-Mailer: PHP/".phpversion(),
                   "-fshop-bounces@example.test");
        $bad = mail("nobody@example.test", "lost", "x", ["From" => "shop@example.test"]);
        exit($ok && !$bad ? 0 : 1);"""
    t.run([php, "-n", "-d", f"sendmail_path={path} -t -i", "-r", script], env=env)
    for user in ("user5", "user6", "user7"):
        body = arrived(t, user, b"Subject: by PHP")
        assert b"Return-Path: <shop-bounces@example.test>" in body and b"Bcc" not in body, body
        assert b"\r\n.\r\nline two" in body and b"\r\nX-Mailer: PHP/8.2" in body, body


CRON = """set -e
mount -t tmpfs none /etc/cron.d
mount -t tmpfs none /var/spool
mkdir -p /var/spool/cron/crontabs
install -m 644 {folder}/crontab /etc/cron.d/job
[ ! -e /etc/crontab ] || mount --bind /dev/null /etc/crontab
mount --bind {sendmail} /usr/sbin/sendmail
rm -f /run/crond.pid /run/crond.reboot
exec {cron} -f
"""


def case_cron(t):
    """The daemon itself runs a job at its start and mails what it says, from root and to whom MAILTO names."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        raise Skip("no mount name space here")
    for path in ("/etc/cron.d", "/var/spool", "/usr/sbin/sendmail", "/etc/pam.d/other"):
        if not os.path.exists(path):
            raise Skip(f"{path} is missing")
    if os.path.exists("/run/crond.pid"):
        raise Skip("cron runs on this machine")
    cron, folder, server = unpacked("cron", "usr/sbin/cron"), t.scratch(), t.server()
    with open(os.path.join(folder, "crontab"), "w", encoding="ascii") as f:
        f.write(f"MAILTO=user5@example.test,user6@example.test\nBARID_SENDMAIL_SOCKET={server.dir}/sendmail.sock\n"
                "@reboot root echo said by a job; printf '.\\nafter the dot\\n'\n")
    script = CRON.format(folder=folder, cron=cron, sendmail=os.path.join(server.build, "libexec", "barid-sendmail"))
    daemon = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, env={**os.environ, "BARID_SENDMAIL_SOCKET": f"{server.dir}/sendmail.sock"})
    try:
        for user in ("user5", "user6"):
            body = arrived(t, user, b"said by a job")
            assert b"Subject: Cron <root@" in body and b"\r\n.\r\nafter the dot\r\n" in body, body
            assert b"(Cron Daemon)" in body or b"CronDaemon" in body, body
    finally:
        daemon.kill()
        daemon.wait()
        for path in ("/run/crond.pid", "/run/crond.reboot"):
            if os.path.exists(path):
                os.unlink(path)


def case_logwatch_and_mailq(t):
    """Reports piped to sendmail -t with a header of their own; mailq and sendmail -bp show the queue, -q flushes it."""
    server = t.server()
    sendmail(t, "-t", stdin=b"To: user5@example.test\nFrom: user6@example.test\nSubject: Logwatch for host (Linux)\n"
             b"Auto-Submitted: auto-generated\nPrecedence: bulk\nMIME-Version: 1.0\nContent-Type: text/plain; charset=\"utf-8\"\n\n"
             b" ################### Logwatch 7.7 ####################\n\n" + "Größe\n".encode())
    body = arrived(t, "user5", b"Subject: Logwatch")
    assert b"Precedence: bulk\r\n" in body and "Größe".encode() in body, body
    folder = t.scratch()
    os.symlink(os.path.join(server.build, "barid"), os.path.join(folder, "barid"))
    path, _ = command(t, folder)
    env = {**os.environ, "PATH": folder + ":" + os.environ.get("PATH", ""), "BARID_DIR": server.dir}
    for args in ([path, "-bp"], [path, "-q"]):
        done = subprocess.run(args, env=env, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done


def case_many_recipients(t):
    """More recipients than one transaction may have: each has the message once."""
    to = [f"user{1 + i % 7}+{i}@example.test" for i in range(1200)]
    sendmail(t, "-i", *to, "user8@example.test", stdin=b"Subject: to very many\n\n")
    arrived(t, "user8", b"to very many")


def case_who_may(t):
    """sendmail.users names those who may; the kernel says who it is."""
    with t.own_server(users=1, env={"BARID_DEMO_CONF": "[sendmail]\nusers = 4711 65534\n"}) as server:
        only_some_may(t, server)


def only_some_may(t, server):
    sendmail(t, "user1@example.test", stdin=b"Subject: root may\n\n", server=server)
    arrived(t, "user1", b"root may", server)
    if os.getuid() != 0:
        return
    path = os.path.join(server.build, "libexec", "barid-sendmail")
    for uid, code in ((65534, 0), (65533, 77)):
        done = subprocess.run([path, "user1@example.test"], input=b"Subject: of %d\n\n" % uid, check=False, user=uid,
                              env={"BARID_SENDMAIL_SOCKET": os.path.join(server.dir, "sendmail.sock"), "HOME": "/none"},
                              capture_output=True, timeout=60)
        assert done.returncode == code, (uid, done)
    assert b"from userid 65534" in arrived(t, "user1", b"of 65534", server)


def case_the_server_is_away(t):
    """Without a server the answer is "later", and the message is kept; one that comes back in time gets it."""
    with t.own_server(users=1) as server:
        away_and_back(t, server)


def away_and_back(t, server):
    server.stop()
    home = t.scratch()
    out = sendmail(t, "user1@example.test", stdin=b"Subject: too early\n\n", check=TEMPFAIL, server=server, home=home)
    assert b"does not run" in out, out
    assert os.path.exists(os.path.join(home, "dead.letter"))
    failed = []

    def send():
        for _ in range(20):  # a slow machine may need longer for a start than the command waits
            try:
                sendmail(t, "user1@example.test", stdin=b"Subject: waited for\n\n", server=server)
                return
            except AssertionError as e:
                failed.append(e)
        raise failed[-1]

    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.5)
    server.start()
    thread.join()
    arrived(t, "user1", b"waited for", server)


def case_swaks_delivers_by_lmtp(t):
    """swaks as an LMTP client: a verdict for each recipient."""
    server = t.server()
    done = t.run([t.program("swaks"), "--protocol", "LMTP", "--server", "127.0.0.1", "--port", str(server.ports["lmtp"]),
                  "--from", "x@client.example", "--to", "user9@example.test,nobody@example.test,user8@example.test",
                  "--header", "Subject: by swaks and LMTP"], check=False)
    assert b"550 5.1.1" in done.stdout, done.stdout
    for user in ("user8", "user9"):
        assert b"with LMTP id" in arrived(t, user, b"by swaks and LMTP")


class PostfixByLmtp(Postfix):
    """A Postfix whose mailboxes are barid's: lmtp:inet:127.0.0.1:24, as iRedMail offers it."""
    SERVICES = Postfix.SERVICES + "lmtp unix - - n - - lmtp\n"

    def write(self, name, text):
        if name == "etc/main.cf":
            text = text.replace(f"relayhost = [127.0.0.1]:{self.to}\n",
                                "virtual_mailbox_domains = example.test\nvirtual_mailbox_maps = static:all\n"
                                f"virtual_transport = lmtp:inet:127.0.0.1:{self.to}\n")
        return super().write(name, text)


def case_postfix_delivers_by_lmtp(t):
    """Postfix's lmtp: one message for several mailboxes in one transaction, one of them unknown, which bounces alone."""
    server = t.server()
    with PostfixByLmtp(t, server.ports["lmtp"]) as peer:
        s = smtplib.SMTP("127.0.0.1", peer.port, timeout=60)
        s.sendmail("user9@example.test", ["user6@example.test", "user7+box@example.test", "nobody@example.test"],
                   "Subject: by Postfix and LMTP\r\n\r\n" + "x" * 70 + "\r\n.\r\n")
        s.quit()
        for user in ("user6", "user7"):
            assert b"with LMTP id" in arrived(t, user, b"by Postfix and LMTP")
        bounce = arrived(t, "user9", b"Diagnostic-Code:")
        assert b"550 5.1.1" in bounce and b"nobody@example.test" in bounce, bounce
        assert b"status=sent" in peer.log().encode(), peer.log()
