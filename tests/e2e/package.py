# SPDX-License-Identifier: Apache-2.0
"""The Debian package in a minimal Debian without systemd: installed, set up, serving, upgraded under load, removed,
purged. It runs when it is asked for (`./dev test package`), because it needs root, a mirror and two builds.
"""
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
import time

from harness import wire
from harness.case import Skip, alone
from harness.machine import Machine, SystemdMachine, control_groups, debootstrap
from harness.server import ROOT

OUT = os.path.join(ROOT, "build", "package-test")
PASSWORD = "first password of anna"
ANNA = "anna@example.org"


def wanted():
    if "package" not in os.environ.get("BARID_TESTS_WANTED", "") and not os.environ.get("BARID_TEST_PACKAGE"):
        raise Skip("only by name: ./dev test package (or with BARID_TEST_PACKAGE=1)")
    if os.getuid() != 0:
        raise Skip("needs root, for a machine of its own")
    for program in ("debootstrap", "nsenter", "unshare", "ip", "dpkg-shlibdeps"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            raise Skip(f"{program} is not installed")
    if subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        raise Skip("may not make name spaces here")


def package(folder, version=""):
    """Build the package, faster than for a release; the path of the .deb."""
    out = os.path.join(OUT, folder)
    env = dict(os.environ, PACKAGE_WORK=os.path.join(OUT, "work"))
    if version:
        env["PACKAGE_VERSION"] = version
    os.makedirs(OUT, exist_ok=True)
    done = subprocess.run([os.path.join(ROOT, "packaging/debian/build"), out], env=env, capture_output=True, text=True,
                          check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(p for p in glob.glob(out + "/barid_*.deb"))


def base(deb, name="base", more=()):
    """A minimal Debian with what the package depends on."""
    depends = subprocess.run(["dpkg-deb", "-f", deb, "Depends"], capture_output=True, text=True, check=True).stdout
    names = [re.split(r"[ (:|]", d.strip())[0] for d in depends.split(",")]
    root = debootstrap(os.path.join(OUT, name), names + list(more))
    if not root:
        raise Skip("debootstrap has no mirror here")
    return root


def first_package():
    wanted()
    deb = package("first", "0.0.1~test1")
    return deb, base(deb)


def install(m, deb):
    m.put(deb, "/tmp/barid.deb")
    return m.run("dpkg", "-i", "/tmp/barid.deb")


def allow_start(m):
    """debootstrap's policy against services does not hold on this machine."""
    with open(m.path("/usr/sbin/policy-rc.d"), "w", encoding="ascii") as f:
        f.write("#!/bin/sh\nexit 0\n")
    os.chmod(m.path("/usr/sbin/policy-rc.d"), 0o755)


def set_up(m):
    return m.run("barid", "init", "--domain", "example.org", "--admin", "anna", "--password-stdin", stdin=PASSWORD + "\n")


def message(number):
    return b"From: s@example.net\r\nSubject: %d\r\n\r\n%s\r\n" % (number, hashlib.sha256(b"%d" % number).hexdigest().encode())


def until(condition, what, timeout=20.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout} s"
        time.sleep(0.1)


def round_trip(m):
    """A message in at port 25, out at port 993; submission after a login."""
    with m.network():
        smtp = wire.Smtp(m)
        smtp.message("s@example.net", [ANNA, "postmaster@example.org"], message(0))
        smtp.close()
        imap = wire.Imap(m, ANNA, PASSWORD)
        until(lambda: any(b"Subject: 0\r\n" in body for _, body in imap.bodies("INBOX")[-1:]), "delivery")
        assert message(0).split(b"\r\n\r\n")[1] in imap.bodies("INBOX")[-1][1]
        imap.close()


def owners(m):
    """{role: user} of the running processes."""
    found = {}
    for line in m.run("sh", "-c", "for p in /proc/[0-9]*; do echo $(cat $p/comm) $(stat -c %U $p); done 2>/dev/null").splitlines():
        words = line.split()
        if len(words) == 2 and words[0].startswith("barid-"):
            found[words[0]] = words[1]
    return found


def roles(m):
    return {"barid-" + e["role"] for e in json.loads(m.run("barid", "status", "--json"))["roles"]} - {"barid-master"}


@alone
def case_from_nothing_to_purge(t):
    """Installed, not set up: it says what comes next. init, start, mail; files and users as promised; removed, purged."""
    deb, root = first_package()
    with Machine(root) as m:
        allow_start(m)
        text = install(m, deb)
        assert "barid init --domain" in text, text
        assert "not set up" in m.run("/etc/init.d/barid", "start")
        assert m.run("barid", "status", check=False)[0] == 3
        text = set_up(m)
        assert "barid serve" in text or "service barid start" in text, text
        m.run("/etc/init.d/barid", "start")
        round_trip(m)
        assert set(owners(m)) == roles(m) and all(user == role for role, user in owners(m).items()), owners(m)
        assert m.run("stat", "-c", "%a %U", "/var/lib/barid", "/etc/barid/tls/key.pem").split("\n")[:2] == ["711 root", "600 root"]
        assert m.run("dpkg", "--verify", "barid") == "", "an installed file was changed"
        for name in ("/usr/share/man/man8/barid-init.8.gz", "/usr/share/bash-completion/completions/barid",
                     "/usr/share/zsh/vendor-completions/_barid", "/usr/share/fish/vendor_completions.d/barid.fish",
                     "/lib/systemd/system/barid.service"):
            assert os.path.exists(m.path(name)), name
        removed_and_purged(m)


def removed_and_purged(m):
    m.run("dpkg", "-r", "barid")
    assert owners(m) == {}, "it still runs"
    assert os.path.exists(m.path("/etc/barid/barid.conf")) and os.path.exists(m.path("/var/lib/barid/dir/vmail.db"))
    m.put(os.path.join(OUT, "first", os.path.basename(glob.glob(OUT + "/first/barid_*.deb")[0])), "/tmp/barid.deb")
    m.run("dpkg", "-i", "/tmp/barid.deb")  # starts again by itself: it is set up
    with m.network():
        imap = wire.Imap(m, ANNA, PASSWORD)
        assert imap.messages("INBOX") == 1, "the mail of before"
        imap.close()
    text = m.run("dpkg", "-P", "barid")
    assert "is kept" in text, text
    assert not os.path.exists(m.path("/etc/barid")) and os.path.exists(m.path("/var/lib/barid/store/meta"))
    m.run("dpkg", "-i", "/tmp/barid.deb")
    with open(m.path("/etc/barid/purge-data"), "w", encoding="ascii"):
        pass
    m.run("dpkg", "-P", "barid")
    assert not os.path.exists(m.path("/etc/barid")) and not os.path.exists(m.path("/var/lib/barid"))


def other_agent():
    """A package of another mail transport agent, as Debian's are."""
    tree = os.path.join(OUT, "other")
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(os.path.join(tree, "DEBIAN"))
    with open(os.path.join(tree, "DEBIAN", "control"), "w", encoding="ascii") as f:
        f.write("Package: other-mta\nVersion: 1\nArchitecture: all\nMaintainer: x <x@packages.invalid>\nProvides: mail-transport-agent\n"
                "Conflicts: mail-transport-agent\nReplaces: mail-transport-agent\nDescription: another one\n")
    subprocess.run(["dpkg-deb", "-b", tree, tree + ".deb"], check=True, capture_output=True)
    return tree + ".deb"


@alone
def case_as_the_transport_agent(t):
    """barid-mta: sendmail, mailq and newaliases in their places, for every user; no second agent beside it; removed, they are gone."""
    deb, root = first_package()
    with Machine(root) as m:
        allow_start(m)
        install(m, deb)
        set_up(m)
        m.run("/etc/init.d/barid", "start")
        assert not os.path.lexists(m.path("/usr/sbin/sendmail")), "barid alone brings no sendmail"
        m.put(glob.glob(os.path.join(OUT, "first", "barid-mta_*.deb"))[0], "/tmp/mta.deb")
        m.run("dpkg", "-i", "/tmp/mta.deb")
        for name in ("/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/mailq", "/usr/bin/newaliases"):
            assert m.run("readlink", "-f", name).strip() == "/usr/libexec/barid/barid-sendmail", name
        assert "mail-transport-agent" in m.run("dpkg-query", "-W", "-f", "${Provides}", "barid-mta")
        m.run("sh", "-c", "printf 'Subject: by root\\n\\nx\\n' | sendmail -i anna@example.org")
        m.run("runuser", "-u", "nobody", "--", "sh", "-c", "printf 'Subject: by nobody\\n\\nx\\n' | /usr/lib/sendmail -t anna@example.org")
        m.run("newaliases")
        m.run("mailq")
        with m.network():
            imap = wire.Imap(m, ANNA, PASSWORD)
            until(lambda: len(imap.bodies("INBOX")) >= 2, "delivery")
            found = [body for _, body in imap.bodies("INBOX")]
            assert any(b"Subject: by nobody" in b and b"from userid 65534" in b for b in found), found
            imap.close()
        m.put(other_agent(), "/tmp/other.deb")
        code, text = m.run("dpkg", "-i", "/tmp/other.deb", check=False)
        assert code and "conflict" in text.lower(), text
        m.run("dpkg", "-r", "barid-mta")
        assert not os.path.lexists(m.path("/usr/sbin/sendmail"))
        round_trip(m)


@alone
def case_under_systemd(t):
    """With systemd as process 1: the unit's fence holds and lets everything work; reload, a killed role, upgrade, removal."""
    wanted()
    deb = package("first", "0.0.1~test1")
    group = control_groups()
    if not group:
        raise Skip("no control groups of version 2 that a systemd could have here")
    root = base(deb, "base-systemd", ("systemd", "systemd-sysv", "dbus"))
    with SystemdMachine(root, group) as m:
        assert "barid init" in install(m, deb)
        assert m.run("systemctl", "is-enabled", "barid").strip() == "enabled"
        m.run("systemctl", "start", "barid")  # not set up: nothing happens, and that is no error
        assert m.run("systemctl", "is-active", "barid", check=False)[1].strip() == "inactive"
        assert "systemctl enable --now barid" in set_up(m)
        m.run("systemctl", "enable", "--now", "barid")
        round_trip(m)
        fenced(m)
        lives_on(m)
        ports_by_systemd(m)
        before = m.run("systemctl", "show", "-P", "MainPID", "barid")
        install(m, package("second", "0.0.1~test2"))
        assert m.run("systemctl", "is-active", "barid").strip() == "active"
        assert m.run("systemctl", "show", "-P", "MainPID", "barid") == before, "it was restarted instead of taken over"
        round_trip(m)
        begun = time.monotonic()
        m.run("dpkg", "-r", "barid")
        assert owners(m) == {}, "it still runs"
        t.note(f"stopped and removed in {time.monotonic() - begun:.1f} s")


def ports_by_systemd(m):
    """The socket unit opens the ports; they stay while barid restarts, and a client that comes meanwhile waits."""
    m.run("systemctl", "stop", "barid")
    m.run("systemctl", "start", "barid.socket")
    m.run("systemctl", "start", "barid")
    round_trip(m)
    m.run("systemctl", "stop", "barid")
    with m.network():
        smtp = wire.Smtp(m, timeout=20)  # this starts it
        smtp.message("s@example.net", [ANNA], message(7))
        smtp.close()
    until(lambda: m.run("systemctl", "is-active", "barid", check=False)[1].strip() == "active", "the unit's READY")


def fenced(m):
    """All processes as promised, and master without what it does not need."""
    assert set(owners(m)) == roles(m) and all(user == role for role, user in owners(m).items()), owners(m)
    master = m.run("systemctl", "show", "-P", "MainPID", "barid").strip()
    status = dict(line.split(":\t", 1) for line in m.run("cat", f"/proc/{master}/status").splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
    assert int(status["CapBnd"], 16) & (1 << 21) == 0, "CAP_SYS_ADMIN is within its reach"
    mounts = m.run("cat", f"/proc/{master}/mounts")
    assert re.search(r"^\S+ /var/lib/barid \S+ rw", mounts, re.M) and re.search(r"^\S+ / \S+ ro", mounts, re.M), mounts
    assert "landlock" in m.run("barid", "status")


def lives_on(m):
    """Large mail, a role that dies, a reload."""
    body = b"Subject: large\r\n\r\n" + b"0123456789abcdef" * 4 * 3000 + b"\r\n"
    with m.network():
        smtp = wire.Smtp(m)
        smtp.message("s@example.net", [ANNA], body.replace(b"f0", b"f\r\n0"))
        m.run("sh", "-c", "kill -9 $(cat /proc/[0-9]*/stat | sed -n 's/^\\([0-9]*\\) (barid-user).*/\\1/p')")
        m.run("systemctl", "reload", "barid")
        imap = wire.Imap(m, ANNA, PASSWORD)
        until(lambda: imap.messages("INBOX") == 2, "the large message")
        imap.close()
        smtp.close()
    assert m.run("systemctl", "is-active", "barid").strip() == "active"


class Load:
    """Mail that comes in all the time, and a client that reads."""

    def __init__(self, m):
        self.m, self.stop = m, threading.Event()
        self.acknowledged, self.unsure, self.sent, self.lost_sessions = set(), set(), 0, 0
        self.threads = [threading.Thread(target=f) for f in (self.send, self.read)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def send(self):
        smtp = None
        while not self.stop.is_set():
            self.sent += 1
            number = self.sent
            try:
                smtp = smtp or wire.Smtp(self.m, timeout=20)
                self.unsure.add(number)
                smtp.message("s@example.net", [ANNA], message(number))
                self.acknowledged.add(number)
            except (wire.Closed, wire.Timeout, wire.Refused, OSError, ValueError):
                smtp = None
                time.sleep(0.05)

    def read(self):
        imap = None
        while not self.stop.is_set():
            try:
                if imap is None:
                    imap = wire.Imap(self.m, ANNA, PASSWORD, timeout=20)
                    imap.select("INBOX")
                imap.command(b"NOOP")
                time.sleep(0.05)
            except (wire.Closed, wire.Timeout, wire.Refused, OSError, ValueError):
                self.lost_sessions += 1
                imap = None
                time.sleep(0.05)


@alone
def case_upgrade_while_mail_flows(t):
    """dpkg -i of the next version under load: the new one serves, each acknowledged message is there once, UIDs stay."""
    deb, root = first_package()
    second = package("second", "0.0.1~test2")
    with Machine(root) as m:
        allow_start(m)
        install(m, deb)
        set_up(m)
        m.run("/etc/init.d/barid", "start")
        round_trip(m)
        with m.network(), Load(m) as load:
            until(lambda: len(load.acknowledged) > 50, "load")
            before = uids(m)
            lost = load.lost_sessions
            text = install(m, second)
            until(lambda: m.run("barid", "status", check=False)[0] == 0, "the new version")
            enough = len(load.acknowledged) + 50
            until(lambda: len(load.acknowledged) > enough, "load after the upgrade")
        executables = m.run("sh", "-c", "for p in /proc/[0-9]*; do [ $(cat $p/comm) = barid ] && readlink $p/exe; done 2>/dev/null; true")
        assert executables.split() and all(x == "/usr/sbin/barid" for x in executables.split()), f"{executables}\n{text}"
        with m.network():
            until(lambda: "@" not in m.run("barid", "queue", "list"), "an empty queue")
            after = uids(m)
        judge(load, before, after)
        can = m.run("barid", "help", "upgrade", check=False)[0] == 0
        assert not can or load.lost_sessions == lost, "barid upgrade lost a session"
        t.note(f"{len(load.acknowledged)} acknowledged, {load.lost_sessions - lost} sessions lost ({'upgrade' if can else 'restart'})")


def uids(m):
    """{uid: number of the message} of the INBOX, and UIDVALIDITY under 0."""
    imap = wire.Imap(m, ANNA, PASSWORD)
    _, validity = imap.select("INBOX")
    found = {0: validity}
    for uid, body in imap.bodies("INBOX"):
        found[uid] = int(re.search(rb"Subject: (\d+)", body).group(1))
    imap.close()
    return found


def judge(load, before, after):
    assert all(after.get(uid) == number for uid, number in before.items()), "a UID shows another message than before"
    numbers = [n for uid, n in after.items() if uid]
    assert len(numbers) == len(set(numbers)), "a message came more than once"
    missing = load.acknowledged - set(numbers)
    assert not missing, f"acknowledged and not there: {sorted(missing)[:10]}"


@alone
def case_the_same_bytes_again(t):
    """Two builds of the same sources in different folders give the same package."""
    wanted()
    sums = []
    for folder in ("again", "once-more"):
        out = os.path.join(OUT, folder)
        done = subprocess.run([os.path.join(ROOT, "packaging/debian/build"), out], capture_output=True, text=True, check=False,
                              cwd=ROOT, env={k: v for k, v in os.environ.items() if k != "PACKAGE_WORK"})
        assert done.returncode == 0, done.stdout + done.stderr
        found = {}
        for path in glob.glob(out + "/*.deb"):
            with open(path, "rb") as f:
                found[os.path.basename(path)] = hashlib.sha256(f.read()).hexdigest()
        sums.append(found)
    assert sums[0] == sums[1] and len(sums[0]) == 3, sums


def case_scripts_units_and_users(t):
    """Maintainer scripts and the init script are POSIX shell, the unit is one of systemd, each role has its user."""
    for name in ("packaging/debian/postinst", "packaging/debian/prerm", "packaging/debian/postrm", "packaging/sysvinit/barid"):
        t.run(["sh", "-n", os.path.join(ROOT, name)])
    t.run(["bash", "-n", os.path.join(ROOT, "packaging/debian/build")])
    with open(os.path.join(ROOT, "packaging/systemd/sysusers.conf"), encoding="utf-8") as f:
        users = set(re.findall(r"^u (\S+)", f.read(), re.M))
    programs = set()
    for path in glob.glob(os.path.join(ROOT, "src/roles/*/meson.build")):
        with open(path, encoding="utf-8") as f:
            programs |= set(re.findall(r"^mod_exe = '(barid-[a-z]+)'", f.read(), re.M))
    assert users == programs, f"sysusers.d and the roles differ: {users ^ programs}"
    program = t.program("systemd-analyze")
    folder = t.scratch()
    with open(os.path.join(ROOT, "packaging/systemd/barid.service.in"), encoding="utf-8") as f:
        unit = f.read().replace("@barid@", "/bin/true")
    path = os.path.join(folder, "barid.service")
    with open(path, "w", encoding="utf-8") as f:
        f.write(unit)
    done = t.run([program, "security", "--offline=yes", path], check=False)
    level = float(re.search(rb"exposure level for barid.service: ([0-9.]+)", done.stdout).group(1))
    assert level < 4, f"the unit leaves more open than it did: {level}"
    verify = subprocess.run([program, "verify", "--man=no", path], capture_output=True, text=True, check=False)
    bad = [line for line in verify.stderr.splitlines() if "barid.service" in line and re.search(r"[Uu]nknown|[Ii]nvalid|parse", line)]
    assert not bad, "\n".join(bad)
    t.note(f"exposure {level}")
