# SPDX-License-Identifier: Apache-2.0
"""Mail servers of others, beside barid: Postfix, Exim and OpenSMTPD of Debian, each with a small configuration in a folder of its
own, on a high port of loopback, relaying all they get to one host. They refuse REFUSED; with a certificate they offer STARTTLS.

    with Postfix(t, server.ports["smtp"], tls="encrypt") as peer:
        wire.Smtp(peer).message(...)          # what it takes here it sends there

Exim and OpenSMTPD cannot be installed beside Postfix: their packages are unpacked into build/peers instead, which needs the package
lists of apt and the libraries that they use; where these lack, the test is skipped with the reason.
"""
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .case import Skip
from .server import ROOT
from .verdict import patience

REFUSED = "nobody@peer.example"
UNPACKED = os.path.join(ROOT, "build", "peers")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def unpacked(package, program):
    """The program of a Debian package that is installed, or unpacked for us; or Skip."""
    if os.path.exists("/" + program):
        return "/" + program
    folder = os.path.join(UNPACKED, package)
    path = os.path.join(folder, program)
    if not os.path.exists(path):
        os.makedirs(UNPACKED, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=UNPACKED) as place:
            os.chmod(place, 0o755)
            got = subprocess.run(["apt-get", "-q", "download", package], cwd=place, capture_output=True, check=False)
            debs = glob.glob(os.path.join(place, "*.deb"))
            if got.returncode or not debs:
                raise Skip(f"{package} cannot be downloaded: {got.stderr.decode('utf-8', 'replace').strip()[-200:]}")
            subprocess.run(["dpkg", "-x", debs[0], os.path.join(place, "x")], check=True)
            if not os.path.exists(path):
                os.rename(os.path.join(place, "x"), folder)
    lacking = re.findall(r"(\S+) => not found", subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout)
    if lacking:
        raise Skip(f"{package} needs {', '.join(lacking)}")
    return path


class Peer:
    """A server of others; `host` and `ports` are what harness.wire wants to know."""
    host = "127.0.0.1"
    slow = 1

    def __init__(self, t, to, tls="none", cert=None):
        if os.geteuid() != 0:
            raise Skip("other mail servers run as root only")
        self.t, self.to, self.tls = t, to, tls
        self.port = free_port()
        self.ports = {"smtp": self.port}
        self.folder = tempfile.mkdtemp(prefix="barid-peer-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.proc = None
        self.cert = self.key = None
        if cert:
            self.cert, self.key = (shutil.copy(path, self.folder) for path in (cert.cert, cert.key))
            os.chmod(self.key, 0o600)

    @property
    def nexthop(self):
        return f"[127.0.0.1]:{self.port}"

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def folders(self, *names, owner=None):
        for name in names:
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
            if owner:
                shutil.chown(os.path.join(self.folder, name), owner)

    def run(self, *command):
        with open(os.path.join(self.folder, "out"), "ab") as out:
            self.proc = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        text = ""
        for path in glob.glob(os.path.join(self.folder, "log", "*")) + [os.path.join(self.folder, "out")]:
            if os.path.isfile(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    text += f.read()
        return text

    def __enter__(self):
        try:
            self.start()
            deadline = time.monotonic() + 30 * patience()
            while not self.answers():
                if self.proc and self.proc.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{type(self).__name__} does not answer:\n{self.log()[-2000:]}")
                time.sleep(0.05)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self):
        if self.proc:
            try:
                os.killpg(self.proc.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.proc.wait()


class Postfix(Peer):
    SERVICES = """pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

    def start(self):
        self.t.program("postfix")
        try:
            pwd.getpwnam("postfix")
        except KeyError as e:
            raise Skip("there is no user postfix") from e
        self.folders("etc", "spool", "log")
        self.folders("data", owner="postfix")
        self.write("etc/main.cf", f"""compatibility_level = 3.6
queue_directory = {self.folder}/spool
data_directory = {self.folder}/data
maillog_file = {self.folder}/log/mail.log
maillog_file_prefixes = /tmp
myhostname = postfix.client.example
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{self.to}
smtp_host_lookup = native
smtp_tls_security_level = {self.tls}
smtputf8_enable = yes
smtpd_peername_lookup = no
minimal_backoff_time = 2s
maximal_backoff_time = 2s
queue_run_delay = 2s
default_destination_recipient_limit = 1000
smtpd_recipient_limit = 1000
message_size_limit = 0
mailbox_size_limit = 0
smtpd_recipient_restrictions = check_recipient_access inline:{{{{{REFUSED} = 550 5.1.1 no such user}}}}, permit_mynetworks, reject
""" + (f"""smtpd_tls_security_level = may
smtpd_tls_cert_file = {self.cert}
smtpd_tls_key_file = {self.key}
""" if self.cert else ""))
        self.write("etc/master.cf", f"127.0.0.1:{self.port} inet n - n - - smtpd\n" + self.SERVICES)
        done = self.order("start")
        if done.returncode:
            raise AssertionError(f"postfix start: {done.stderr.decode('utf-8', 'replace')[-2000:]}\n{self.log()}")

    def order(self, what):
        return subprocess.run(["/usr/sbin/postfix", "-c", f"{self.folder}/etc", what], stdin=subprocess.DEVNULL, capture_output=True,
                              check=False)

    def stop(self):
        if os.path.exists(f"{self.folder}/etc/main.cf"):
            self.order("stop")


class LmtpPostfix(Postfix):
    """One that has barid deliver: all its mail goes there by LMTP."""
    SERVICES = Postfix.SERVICES + "lmtp unix - - n - - lmtp\n"

    def write(self, name, text):
        way = f"lmtp:inet:127.0.0.1:{self.to}"
        return super().write(name, text.replace(f"relayhost = [127.0.0.1]:{self.to}", f"default_transport = {way}"))



class Apart(Peer):
    """In a mount name space of its own, with users of its own: what the package's installation would have made."""

    def apart(self, users, script, *command):
        if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
            raise Skip(f"{type(self).__name__} needs a mount name space, which is not allowed here")
        self.folders("etc", "log")
        for name, row in (("passwd", "{0}:x:{1}:{1}::/:/bin/false\n"), ("group", "{0}:x:{1}:\n")):
            with open(f"/etc/{name}", encoding="utf-8") as f:
                self.write(f"etc/{name}", f.read() + "".join(row.format(u, 62001 + i) for i, u in enumerate(users)))
        binds = "".join(f"mount --bind {self.folder}/etc/{name} /etc/{name}\n" for name in ("passwd", "group"))
        script = self.write("etc/start", f"set -e\nmount --make-rprivate /\n{binds}{script}exec \"$@\"\n")
        self.run("unshare", "-m", "sh", script, *command)


class Exim(Apart):
    def start(self):
        program = unpacked("exim4-daemon-light", "usr/sbin/exim4")
        self.folders("spool", "log", owner="nobody")
        tls = {"none": "hosts_avoid_tls = *", "may": "hosts_try_dane =\n  tls_try_verify_hosts =\n  tls_verify_cert_hostnames =\n  tls_verify_certificates =",
               "encrypt": "hosts_require_tls = *\n  hosts_try_dane =\n  tls_try_verify_hosts =\n  tls_verify_cert_hostnames =\n  tls_verify_certificates ="}[self.tls]
        if self.key:
            shutil.chown(self.key, "nobody")
        offered = f"*\ntls_certificate = {self.cert}\ntls_privatekey = {self.key}" if self.cert else ""
        conf = self.write("exim.conf", f"""primary_hostname = exim.client.example
exim_path = {program}
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/log/%slog
exim_user = nobody
exim_group = nogroup
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
remote_max_parallel = 4
tls_advertise_hosts = {offered}
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_all
acl_smtp_predata = acl_all
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
accept_8bitmime = true
message_size_limit = 0
host_lookup =
rfc1413_query_timeout = 0s
begin acl
acl_rcpt:
  deny
    recipients = {REFUSED}
    message = 550 5.1.1 no such user
  accept
acl_all:
  accept
begin routers
out:
  driver = manualroute
  transport = smtp
  route_list = * 127.0.0.1::{self.to}
  self = send
begin transports
smtp:
  driver = smtp
  allow_localhost
  dns_search_parents = false
  {tls}
begin retry
* * F,1h,2s
""")
        self.apart(("Debian-exim",), "", program, "-C", conf, "-bdf", "-q2s")


class OpenSmtpd(Apart):

    def start(self):
        program = unpacked("opensmtpd", "usr/sbin/smtpd")
        self.folders("etc")
        scheme = {"none": "smtp+notls", "may": "smtp", "encrypt": "smtp+tls"}[self.tls]
        check = " tls no-verify" if self.tls == "encrypt" else ""
        pki = f'pki "peer" cert "{self.cert}"\npki "peer" key "{self.key}"\n' if self.cert else ""
        self.write("etc/smtpd.conf", f"""{pki}smtp max-message-size 100M
listen on 127.0.0.1 port {self.port} {'tls pki "peer" ' if self.cert else ""}hostname opensmtpd.client.example
action "out" relay host "{scheme}://127.0.0.1:{self.to}"{check} helo opensmtpd.client.example
match from any for rcpt-to "{REFUSED}" reject
match from any for any action "out"
""")
        program_folder = os.path.dirname(os.path.dirname(os.path.dirname(program)))
        self.apart(("opensmtpd", "opensmtpq"), f"""for d in /var/spool /var/lib /run; do mount -t tmpfs -o mode=755 tmpfs $d; done
[ -L /var/run ] || mount -t tmpfs -o mode=755 tmpfs /var/run
mkdir -p /var/spool/smtpd/offline /var/spool/smtpd/purge /var/lib/opensmtpd/empty /var/empty
chmod 711 /var/spool/smtpd; chmod 700 /var/spool/smtpd/purge
chown opensmtpq:root /var/spool/smtpd/purge; chgrp opensmtpq /var/spool/smtpd/offline; chmod 770 /var/spool/smtpd/offline
if [ -d {program_folder}/usr/libexec/opensmtpd ] && [ ! -d /usr/libexec/opensmtpd ]; then
  mount -t tmpfs tmpfs /usr/libexec; mkdir /usr/libexec/opensmtpd; cp -a {program_folder}/usr/libexec/opensmtpd/. /usr/libexec/opensmtpd/
fi
""", program, "-d", "-f", f"{self.folder}/etc/smtpd.conf")
