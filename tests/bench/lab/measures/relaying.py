# SPDX-License-Identifier: Apache-2.0
"""Mail in by SMTP and out again by SMTP: to smtp-sink, which takes everything and keeps nothing."""
import re
import subprocess
import threading
import time

from .. import drive, place, side
from .end_to_end import turns

PORT = 21250
SIZE, CONNECTIONS = 4096, 20


class Sink:
    """Postfix's smtp-sink, and how many messages it has taken."""

    def __init__(self):
        self.process = subprocess.Popen(["/usr/sbin/smtp-sink", "-u", "nobody", "-c", f"127.0.0.1:{PORT}", "512"], stdout=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self.messages, self.text = 0, b""
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while data := self.process.stdout.read1(65536):
            self.text = self.text[-200:] + data
            found = re.findall(rb"mesg=(\d+)\s", self.text)
            if found:
                self.messages = int(found[-1])

    def wait(self, n, limit=drive.LIMIT_SECONDS):
        until = time.monotonic() + limit
        while self.messages < n:
            if time.monotonic() > until or self.process.poll() is not None:
                raise place.Failure(f"bench: {self.messages} of {n} messages came out: {self.text[-200:]!r}")
            time.sleep(0.001)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        self.process.wait()


def through(server, sink, n, domain):
    """Messages in by SMTP until all have come out."""
    server.quiet()
    before, cpu, begun = sink.messages, server.cpu(), time.monotonic()
    sent = drive.run("smtpload", *drive.smtp_arguments(server, CONNECTIONS, n, SIZE), "-d", domain)
    sink.wait(before + n)
    took = time.monotonic() - begun
    cpu = server.cpu() - cpu
    return {"n": n, "rate": round(n / took, 1), "accept_rate": sent["rate"], "p50_ms": sent["p50_ms"], "p99_ms": sent["p99_ms"],
            "cpu_s_per_1000": round(cpu * 1000 / n, 4), "cores": round(cpu / took, 2)}


def measure(record, size):
    """Accepted durably and delivered onward, 4 KB, 20 connections in and 20 out."""
    conf = f"[smtp]\nrelay_from = 127.0.0.0/8\n[relay]\nrelay_host = [127.0.0.1]:{PORT}\n"
    with Sink() as sink, side.Classic("Postfix", TRANSPORT=f"smtp:[127.0.0.1]:{PORT}") as c, \
            side.Barid(BARID_DEMO_CONF=conf) as b:
        # Where a recipient lives decides who goes out: Postfix sends its own users on, barid those of another domain.
        plan = {c.name: (size.of(3000), "example.test"), b.name: (size.of(12000), "example.net")}
        for s in (c, b):
            through(s, sink, plan[s.name][0] // 10, plan[s.name][1])
        turns(record, size, [c, b], "relay", lambda s: through(s, sink, *plan[s.name]))
