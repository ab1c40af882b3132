# SPDX-License-Identifier: Apache-2.0
"""A small Internet on loopback: signed DNS zones (nsd), mail hosts with chosen faults, lists, policy servers.

    with Internet() as net:
        net.host("mx1.far.test", tlsa="good")                    # a mail host on an address of its own
        net.domain("far.test", mx=[(10, "mx1.far.test")], signed=True)
        server = t.own_server(env={"BARID_DEMO_CONF": net.conf("[smtp]\\nrelay_from = 127.0.0.0/8\\n")})
        with server:
            ...                                                  # mail to x@far.test goes out
            letter = net.await_mail(to="x@far.test")
            assert letter.tls and letter.content.startswith(b"Received:")

The zone of the root is signed; each domain is a zone of its own, delegated from the next one above, mostly the root: with its keys (signed=True),
without any (signed=False, insecure), with keys that are not those of the root (signed="bogus"), or not there at all
(signed="dead": SERVFAIL). What is said after the start counts with the next `publish()`; `conf()` publishes. Records have
TTL 0, so nobody remembers them. All mail hosts listen on one port, net.port, each on its own 127.x.y.z: the server's
setting for that port is in `conf()`. `mxhost.py` has the mail hosts and their faults.
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from .case import Skip
from .certs import Authority
from .mxhost import MailHost
from .policyhost import PolicyHost
from .server import PortRange

NSD = """server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{dir}"
  pidfile: "{dir}/nsd.pid"
  database: ""
  xfrdfile: "{dir}/xfrd.state"
  xfrdir: "{dir}"
  zonelistfile: "{dir}/zone.list"
  rrl-ratelimit: 0
  server-count: 1
remote-control:
  control-enable: no
"""
PROGRAMS = ("nsd", "ldns-keygen", "ldns-signzone", "openssl")


def quoted(text):
    """A TXT record: strings of at most 255 bytes."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{text[i:i + 250]}"' for i in range(0, len(text), 250)) or '""'


class Zone:
    def __init__(self, name, signed):
        self.name, self.signed = name, signed
        self.records = []  # (name without final dot, type, text)
        self.key = None

    def text(self, ttl, serial):
        lines = [f"$ORIGIN {self.name}.", f"$TTL {ttl}", f"@ {ttl} IN SOA ns.invalid. h.invalid. {serial} 3600 600 86400 {ttl}",
                 f"@ {ttl} IN NS ns.invalid."]
        return "\n".join(lines + [f"{name}. {ttl} IN {kind} {text}" for name, kind, text in self.records]) + "\n"


class Deaf:
    """In front of nsd: whoever asks for a name with this in it hears nothing. asked: those names, each once."""

    def __init__(self, port, word):
        self.word, self.asked, self.port = word.encode(), [], port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                question, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            name = question[12:question.index(b"\0", 12)].lower()
            if self.word in name:
                if name not in self.asked:
                    self.asked.append(name)
                continue
            threading.Thread(target=self.pass_on, args=(question, peer), daemon=True).start()

    def pass_on(self, question, peer):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.sendto(question, ("127.0.0.1", self.port))
            try:
                self.socket.sendto(s.recv(65535), peer)
            except OSError:
                pass

    def close(self):
        self.socket.close()


class Internet:
    def __init__(self, ttl=0):
        for program in PROGRAMS:
            if not any(os.access(os.path.join(p, program), os.X_OK)
                       for p in os.environ["PATH"].split(":") + ["/usr/sbin", "/usr/bin"]):
                raise Skip(f"{program} is not installed")
        self.ttl = ttl
        self.range = PortRange()
        self.port, self.dns_port, self.https_port = (self.range.offset + n for n in (25, 587, 465))
        self.dir = tempfile.mkdtemp(prefix="barid-test-net-")
        os.chmod(self.dir, 0o755)  # the server reads the trust anchor
        self.root = Zone("", True)
        self.zones = {}
        self.hosts = {}
        self.policies = {}
        self.next_address = 1
        self.serial = 0
        self.nsd = None
        self.deaf = None
        self.authority = Authority(os.path.join(self.dir, "ca"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in list(self.hosts.values()) + list(self.policies.values()):
            one.close()
        if self.deaf:
            self.deaf.close()
        if self.nsd:
            self.nsd.terminate()
            try:
                self.nsd.wait(10)
            except subprocess.TimeoutExpired:
                self.nsd.kill()
                self.nsd.wait()
        self.range.release()
        shutil.rmtree(self.dir, ignore_errors=True)

    # --- names --------------------------------------------------------------------------------

    def zone_of(self, name):
        """The zone that holds a name; the root where no other does."""
        labels = name.split(".")
        for i in range(len(labels)):
            zone = self.zones.get(".".join(labels[i:]))
            if zone:
                return zone
        return self.root

    def record(self, name, kind, text):
        """Any record, in the zone that holds the name: record("x.far.test", "CNAME", "y.far.test.")."""
        self.zone_of(name).records.append((name, kind, text))

    def forget(self, name, kind=None):
        """Take away what is said about a name."""
        zone = self.zone_of(name)
        zone.records = [r for r in zone.records if r[0] != name or kind not in (None, r[1])]

    def domain(self, name, mx=None, a=(), aaaa=(), txt=(), signed=True):
        """A zone. mx: [(10, "mx1.far.test")], or [(0, ".")] for "takes no mail"; a bare label is below the domain."""
        moved = [r for r in self.zone_of(name).records if r[0] == name or r[0].endswith("." + name)]
        if moved:
            old = self.zone_of(name)
            old.records = [r for r in old.records if r not in moved]
        zone = self.zones.setdefault(name, Zone(name, signed))
        zone.signed = signed
        zone.records += moved
        for preference, host in mx or ():
            full = host if "." in host else f"{host}.{name}"
            self.record(name, "MX", f"{preference} {full.rstrip('.')}.")
        for kind, values in (("A", a), ("AAAA", aaaa)):
            for value in values:
                self.record(name, kind, value)
        for text in txt:
            self.txt(name, text)
        return zone

    def txt(self, name, text):
        self.record(name, "TXT", quoted(text))

    def ptr(self, address, name):
        """The name of an IPv4 address, in an unsigned zone."""
        if "127.in-addr.arpa" not in self.zones and address.startswith("127."):
            self.domain("127.in-addr.arpa", signed=False)
        self.record(".".join(reversed(address.split("."))) + ".in-addr.arpa", "PTR", name + ".")

    def listed(self, zone, address, answer="127.0.0.2", text=None):
        """An entry in a DNS list (RFC 5782), whose zone is made when it is not there."""
        if zone not in self.zones:
            self.domain(zone, signed=False)
            self.record(f"2.0.0.127.{zone}", "A", "127.0.0.2")
        name = ".".join(reversed(address.split("."))) + "." + zone
        self.record(name, "A", answer)
        if text:
            self.txt(name, text)

    # --- hosts --------------------------------------------------------------------------------

    def address(self):
        """A loopback address that nobody else here has."""
        n = self.next_address
        self.next_address += 1
        return f"127.20.{n // 250}.{n % 250 + 1}"

    def host(self, name, address=None, cert="good", tlsa=None, cert_name=None, **faults):
        """A mail host with its A (or AAAA) record. cert: good, expired, self-signed, None (no STARTTLS); cert_name: for
        another name. tlsa: "good" (3 1 1), "wrong", "ca" (2 0 1), or a list of records as text. The rest: MailHost."""
        address = address or self.address()
        files = self.authority.certificate(cert, cert_name or name) if cert else None
        host = MailHost(name, address, self.port, files, **faults)
        self.hosts[name] = host
        self.record(name, "AAAA" if ":" in address else "A", address)
        self.tlsa(name, tlsa)
        return host

    def tlsa(self, name, what):
        """What TLSA says about a host from now on."""
        owner = f"_{self.port}._tcp.{name}"
        self.forget(owner)
        if what == "good":
            what = [f"3 1 1 {self.hosts[name].files.spki_sha256}"]
        elif what == "ca":
            what = [f"2 0 1 {self.authority.sha256}"]
        elif what == "wrong":
            what = ["3 1 1 " + "00" * 32]
        for text in what or ():
            self.record(owner, "TLSA", text)

    def sts(self, domain, mode="enforce", mx=(), max_age=86400, policy=None, cert="good", cert_name=None, ident=None,
            **more):
        """MTA-STS (RFC 8461) of a domain: its TXT record and the server of its policy. Said again: changed."""
        name = f"mta-sts.{domain}"
        self.serial += 1
        self.forget(f"_mta-sts.{domain}")
        self.txt(f"_mta-sts.{domain}", f"v=STSv1; id={ident or self.serial};")
        if policy is None:
            lines = ["version: STSv1", f"mode: {mode}"] + [f"mx: {m}" for m in mx] + [f"max_age: {max_age}"]
            policy = "\r\n".join(lines) + "\r\n"
        files = self.authority.certificate(cert, cert_name or name)
        if name in self.policies:
            self.policies[name].set(policy=policy, files=files, **more)
            return self.policies[name]
        host = PolicyHost(name, self.address(), self.https_port, files, policy, **more)
        self.policies[name] = host
        self.record(name, "A", host.address)
        return host

    # --- DNS ----------------------------------------------------------------------------------

    def run(self, *words):
        done = subprocess.run(words, cwd=self.dir, capture_output=True, text=True, timeout=60, check=False,
                              env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/usr/bin"))
        if done.returncode != 0:
            raise RuntimeError(f"{words}: {done.stderr}{done.stdout}")
        return done.stdout.strip()

    def keys(self, zone):
        if zone.key is None:
            zone.key = self.run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone.name + ".")
        return zone.key

    def delegations(self, parent):
        """What a zone says about those right below it."""
        return "".join(self.delegate(z) for z in self.zones.values() if self.zone_of(z.name.partition(".")[2]) is parent)

    def delegate(self, zone):
        """What its parent says about a zone."""
        lines = f"{zone.name}. {self.ttl} IN NS ns.invalid.\n"
        if zone.signed == "bogus":  # the keys of another
            key = self.run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone.name + ".")
        elif zone.signed is True:
            key = self.keys(zone)
        else:
            return lines
        with open(os.path.join(self.dir, key + ".ds"), encoding="ascii") as f:
            return lines + f.read()

    def write(self, zone):
        path = os.path.join(self.dir, f"zone-{zone.name or 'root'}")
        if zone.signed == "dead":
            return path  # nsd knows it, and has nothing to say: SERVFAIL
        with open(path + ".plain", "w", encoding="utf-8") as f:
            f.write(zone.text(self.ttl, self.serial) + self.delegations(zone))
        if zone.signed is False:
            os.replace(path + ".plain", path)
        else:
            self.run("ldns-signzone", "-f", path, path + ".plain", self.keys(zone))
        return path

    def publish(self):
        """Write and sign all zones, and have nsd serve them."""
        self.serial += 1
        config = NSD.format(port=self.dns_port, dir=self.dir)
        config += f"zone:\n  name: .\n  zonefile: {self.write(self.root)}\n"
        for zone in self.zones.values():
            config += f"zone:\n  name: {zone.name}.\n  zonefile: {self.write(zone)}\n"
        with open(os.path.join(self.dir, "nsd.conf"), "w", encoding="utf-8") as f:
            f.write(config)
        self.anchor = os.path.join(self.dir, "anchor")
        shutil.copy(os.path.join(self.dir, self.keys(self.root) + ".ds"), self.anchor)
        self.restart_nsd()

    def restart_nsd(self):
        if self.nsd:
            self.nsd.terminate()
            self.nsd.wait(10)
        with open(os.path.join(self.dir, "nsd.log"), "ab") as log:
            self.nsd = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", os.path.join(self.dir, "nsd.conf")],
                                        stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self.answers():
            if time.monotonic() > deadline or self.nsd.poll() is not None:
                with open(os.path.join(self.dir, "nsd.log"), encoding="utf-8") as f:
                    raise RuntimeError("nsd does not answer:\n" + f.read())

    def answers(self):
        """The root's SOA has the serial of now."""
        import struct
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.connect(("127.0.0.1", self.dns_port))
                s.send(struct.pack(">HHHHHH", 7, 0, 1, 0, 0, 0) + b"\0" + struct.pack(">HH", 6, 1))
                return struct.pack(">I", self.serial) in s.recv(4096)
            except OSError:
                time.sleep(0.02)
                return False

    def freeze(self, frozen=True):
        """The name servers say nothing at all (until freeze(False))."""
        for pid in self.nsd_pids():
            os.kill(pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    def deafen(self, word):
        """Questions for names with this word in them get no answer; before conf()."""
        self.deaf = Deaf(self.dns_port, word)
        return self.deaf

    def nsd_pids(self):
        found, new = {self.nsd.pid}, {self.nsd.pid}
        while new:
            pid = new.pop()
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                    children = {int(word) for word in f.read().split()}
            except FileNotFoundError:
                continue
            new |= children - found
            found |= children
        return found

    # --- the server under test ------------------------------------------------------------------

    def conf(self, more=""):
        """Settings of a server that lives in this Internet, for BARID_DEMO_CONF. `more` is added."""
        self.publish()
        self.authority.begin()
        port = self.deaf.socket.getsockname()[1] if self.deaf else self.dns_port
        return (f"[dns]\nmode = forward\nforward = 127.0.0.1:{port}\ntrust_anchor = {self.anchor}\n"
                f"[relay]\nport = {self.port}\nsts_port = {self.https_port}\n[tls]\nauthorities = {self.authority.ca}\n" + more)

    def transactions(self):
        """What all mail hosts took, in the order of its beginning."""
        return sorted((t for h in list(self.hosts.values()) for t in list(h.transactions)), key=lambda t: t.begun)

    def mail(self, to=None):
        """Messages that a host answered with 250, for one recipient or for all."""
        return [t for t in self.transactions() if t.accepted and (to is None or to in t.recipients)]

    def await_mail(self, to=None, n=1, timeout=30):
        """The n-th such message."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.mail(to)
            if len(found) >= n:
                return found[n - 1]
            if time.monotonic() > deadline:
                seen = [(t.host, t.sender, t.recipients, t.verdict) for t in self.transactions()]
                raise AssertionError(f"{len(found)} of {n} messages to {to or 'anybody'} came; transactions: {seen}")
            time.sleep(0.01)
