# SPDX-License-Identifier: Apache-2.0
"""barid init: from nothing to a server that an administrator logs in to; said again, it changes nothing."""
import json
import os
import re
import signal
import subprocess

from harness import wire
from harness.server import PortRange, ROOT

DOMAIN = "example.org"


class Host:
    """A machine, as far as init sees it: a folder, and ports that are ours."""

    def __init__(self, t):
        self.t, self.build = t, os.path.join(ROOT, t.build)
        self.dir = os.path.join(t.scratch(), "server")
        self.range = PortRange()
        self.host = "127.0.0.1"
        self.ports = {"smtp": self.range.offset + 25, "submission": self.range.offset + 587, "imaps": self.range.offset + 993}

    def barid(self, *args, stdin="", check=True):
        done = subprocess.run([os.path.join(self.build, "barid"), *args], input=stdin, text=True, capture_output=True,
                              timeout=60, check=False, env=dict(os.environ, BARID_LIBEXEC=self.build + "/libexec"))
        assert not check or done.returncode == 0, f"barid {args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def init(self, *args, domain=DOMAIN, admin="anna", **options):
        return self.barid("init", "--domain", domain, "--admin", admin, "--dir", self.dir, "--port-offset",
                          str(self.range.offset), *args, **options)

    def files(self):
        """Every file with its content; databases may be rewritten by reading."""
        found = {}
        for top, _, names in os.walk(self.dir):
            for name in names:
                if ".db" not in name:
                    with open(os.path.join(top, name), "rb") as f:
                        found[os.path.join(top, name)] = f.read()
        return found


class Served:
    """The server that was set up, running."""

    def __init__(self, host):
        self.host = host

    def __enter__(self):
        host = self.host
        self.more = os.path.join(host.dir, "conf.d", "99-test.conf")
        with open(self.more, "w", encoding="ascii") as f:  # no test asks name servers beyond this machine
            f.write(f"[dns]\nmode = forward\nforward = 127.0.0.1:{host.range.offset + 53}\n")
        self.log = open(os.path.join(host.dir, "test.log"), "w+b")  # pylint: disable=consider-using-with
        self.proc = subprocess.Popen(  # pylint: disable=consider-using-with
            [host.build + "/barid", "serve", "-c", host.dir + "/barid.conf"], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=subprocess.STDOUT, env=dict(os.environ, BARID_LIBEXEC=host.build + "/libexec"))
        host.t.until(self.ready, what="ready")
        return self

    def ready(self):
        assert self.proc.poll() is None, "the server ended:\n" + self.text()
        return re.search("^ready$", self.text(), re.M)

    def text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    def __exit__(self, kind, value, trace):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait(10)
        self.log.close()
        os.unlink(self.more)


def case_a_server_out_of_nothing(t):
    """init, serve, log in with the password that it printed, receive mail for postmaster@ and abuse@."""
    host = Host(t)
    text = host.init().stdout
    password = re.search(r"^    ([a-z0-9]{5}(?:-[a-z0-9]{5}){3})$", text, re.M).group(1)
    with Served(host):
        smtp = wire.Smtp(host)
        smtp.message("sender@example.net", [f"postmaster@{DOMAIN}", "postmaster", f"abuse@{DOMAIN}"], b"Subject: one\r\n\r\n1\r\n")
        imap = wire.Imap(host, f"anna@{DOMAIN}", password)
        ports = json.loads(host.barid("ports", "--json", "--dir", host.dir).stdout)["ports"]
        low = [p for p in ports if p["service"] != "sendmail" and not host.range.offset < p["port"] < host.range.offset + 1000]
        assert ports and not low, f"ports that --port-offset does not move: {low}"
        t.until(lambda: imap.messages("INBOX") == 1, what="the message (once: all three are one mailbox)")
        shown = json.loads(host.barid("admin", "list", "--json", "--dir", host.dir).stdout)["rows"]
        assert any("anna@example.org" in row.values() and "ALL" in str(row) for row in shown), shown
        assert "is there  anna@example.org" in host.init().stdout, "a second run beside the running server"
        wire.Imap(host, f"anna@{DOMAIN}", password).close()
        smtp.close()
        imap.close()
    host.range.release()


def case_said_again_it_changes_nothing(t):
    """A second run keeps every file and the password; another domain or name is refused; half a certificate is said."""
    host = Host(t)
    host.init("--password-stdin", stdin="first password\n")
    before = host.files()
    again = host.init("--password-stdin", stdin="second password\n").stdout
    assert again.count("is there") == 8 and "made" not in again and "password, shown" not in again, again
    assert host.files() == before
    for args in ({"domain": "example.net"}, {}):
        done = host.init(*([] if args else ["--hostname", "other.example.org"]), check=False, **args)
        assert done.returncode == 1 and "nothing was changed" in done.stderr, done.stderr
    assert host.files() == before
    with Served(host):
        wire.Imap(host, f"anna@{DOMAIN}", "first password").close()
    os.unlink(os.path.join(host.dir, "tls", "key.pem"))
    done = host.init(check=False)
    assert done.returncode == 1 and "bring both" in done.stderr, done.stderr
    host.range.release()


def case_a_mistake_hides_nothing(t):
    """What init wrote into conf.d is in a backup; a mistake in it does not hide the server that runs, nor stop a backup."""
    host = Host(t)
    host.init()
    conf, kept = host.dir + "/barid.conf", t.scratch() + "/backup"
    with open(host.dir + "/conf.d/00-init.conf", encoding="utf-8") as f:
        wanted = f.read()
    with Served(host):
        host.barid("backup", kept, "-c", conf)
        with open(host.dir + "/conf.d/20.conf", "w", encoding="utf-8") as f:
            f.write("nonsense = 1\n")
        done = host.barid("status", "-c", conf)
        assert "queue" in done.stdout and "20.conf:1: unknown setting nonsense" in done.stderr, done.stdout + done.stderr
        done = host.barid("backup", kept, "-c", conf, check=False)
        assert done.returncode == 4 and "the configuration has mistakes" in done.stderr, done.stderr
        with open(host.dir + "/conf.d/20.conf", "w", encoding="utf-8") as f:
            f.write("state_dir = nowhere\n")
        assert "Which server is meant" in host.barid("status", "-c", conf, check=False).stderr, "a guess at the folder"
    with open(host.dir + "/conf.d/20.conf", "w", encoding="utf-8") as f:
        f.write("nonsense = 1\n")
    assert "Which server is meant" in host.barid("status", "-c", conf, check=False).stderr, "no server runs"
    drill = t.scratch() + "/drill"
    host.barid("restore", kept, "--dir", drill)
    with open(drill + "/from-backup/etc/conf.d/00-init.conf", encoding="utf-8") as f:
        assert f.read() == wanted
    host.range.release()


def case_dry_run_and_refusals(t):
    """--dry-run makes no file; names that are none, an administrator from elsewhere and a missing password are refused."""
    host = Host(t)
    text = host.init("--dry-run").stdout
    assert "hostname = mail.example.org" in text and "IN MX    10 mail.example.org." in text and not os.path.exists(host.dir)
    for args, options, wanted in ((["--hostname", "mail_1.example.org"], {}, "not a name of the DNS"),
                                  ([], {"domain": "exämple.org"}, "xn--"), ([], {"domain": "localhost"}, "not a name"),
                                  ([], {"admin": "anna@example.net"}, "has to be of the domain"),
                                  (["--password-stdin"], {}, "no password came")):
        done = host.init(*args, check=False, **options)
        assert done.returncode != 0 and wanted in done.stderr, f"{args} {options}: {done.returncode} {done.stderr}"
        assert not os.path.exists(host.dir), f"{args} {options}: made something"
    done = host.barid("serve", "-c", host.dir + "/barid.conf", check=False)
    assert done.returncode == 1, done.stderr
    for command in ("status", "ports", "stop"):
        assert host.barid(command, "--dir", host.dir, check=False).returncode == 3, f"{command} without a server"
    host.range.release()


def case_records_to_publish(t):
    """barid dns: what the configuration offers, as a zone file and as JSON; a service that is off is said to be."""
    host = Host(t)
    host.init()
    conf = host.dir + "/barid.conf"
    with open(host.dir + "/conf.d/10-off.conf", "w", encoding="ascii") as f:
        f.write("[queue]\nlifetime = 2 d\n")
    zone = host.barid("dns", "-c", conf).stdout
    records = {(r["name"], r["type"]): r["record"] for r in json.loads(host.barid("dns", "-c", conf, "--json").stdout)["records"]}
    assert records["example.org.", "MX"] == "10 mail.example.org."
    assert records["_imaps._tcp.example.org.", "SRV"] == f"0 1 {host.range.offset + 993} mail.example.org."
    assert records["_pop3._tcp.example.org.", "SRV"] == f"30 1 {host.range.offset + 110} mail.example.org."
    assert records["example.org.", "TXT"] == '"v=spf1 mx -all"' and ("mail.example.org.", "A") in records
    assert "_domainkey" not in zone, "a key that nothing signs with"
    lines = [x for x in zone.splitlines() if x and not x.startswith(";")]
    assert all(re.fullmatch(r"\S+\s+3600 IN [A-Z]+\s+\S.*", x) for x in lines), lines
    other = host.barid("dns", "example.net", "-c", conf).stdout
    assert re.search(r"^example\.net\.\s+3600 IN MX\s+10 mail\.example\.org\.$", other, re.M), other
    host.range.release()
