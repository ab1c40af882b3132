# SPDX-License-Identifier: Apache-2.0
"""Runs of the load drivers, with their own CPU seconds: they share the machine's cores with what they measure."""
import json
import os
import subprocess
import time

from . import place

USERS = 100
LIMIT_SECONDS = 150


class Program:
    """A driver that runs beside; finish() waits for it and gives its CPU seconds."""

    def __init__(self, name, *arguments, **popen):
        self.what = f"{name} {' '.join(map(str, arguments))}"
        self.process = subprocess.Popen([place.driver(name), *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, **popen)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            raise place.Failure(f"bench: {self.what} ended early")
        return text.strip()

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def spent(self):
        """CPU seconds until now."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def finish(self):
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode != 0:
            raise place.Failure(f"bench: {self.what} failed ({self.process.returncode})")
        return usage.ru_utime + usage.ru_stime


def run(name, *arguments):
    """Run a driver to its end: its last line as JSON, with driver_cpu_s added."""
    with Program(name, *arguments) as program:
        text = program.process.stdout.read().strip().splitlines()
        spent = program.finish()
    data = json.loads(text[-1])
    data["driver_cpu_s"] = round(spent, 3)
    return data


def lines(name, *arguments):
    """Run a driver to its end: each line as JSON."""
    with Program(name, *arguments) as program:
        text = program.process.stdout.read().strip().splitlines()
        program.finish()
    return [json.loads(line) for line in text]


def smtp_arguments(side, conns, n, size, users=USERS):
    return ["-p", side.port("smtp"), "-c", conns, "-n", n, "-s", size, "-u", users]


def end_to_end(side, conns, n, size, users=USERS):
    """Messages in by SMTP until all are visible by IMAP (STATUS over TLS)."""
    side.quiet()
    with Program("imapload", "-p", side.port("imaps"), "-T", "-u", users, "wait", "-n", f"+{n}", "-t", LIMIT_SECONDS) as waiter:
        waiter.line()  # READY: logged in, and the messages that are there counted
        waiter_before, cpu, begun = waiter.spent(), side.cpu(), time.monotonic()
        sent = run("smtpload", *smtp_arguments(side, conns, n, size, users))
        waiter.say("go")
        waiter.line()
        took, busy = time.monotonic() - begun, side.cpu() - cpu
        side.caught_up()  # what it does afterwards for these messages is paid by them
        cpu = side.cpu() - cpu
        waited = waiter.finish() - waiter_before
    return {"n": n, "rate": round(n / took, 1), "accept_rate": sent["rate"], "p50_ms": sent["p50_ms"], "p99_ms": sent["p99_ms"],
            "cpu_s_per_1000": round(cpu * 1000 / n, 4), "cores": round(busy / took, 2),
            "driver_cpu_s_per_1000": round((sent["driver_cpu_s"] + waited) * 1000 / n, 4)}


def accepted(side, conns, n, size, *extra):
    """Messages in by SMTP until the last 250; CPU until the server has finished what follows from them."""
    side.quiet()
    cpu = side.cpu()
    sent = run("smtpload", *smtp_arguments(side, conns, n, size), *extra)
    side.quiet()
    side.caught_up()
    return {"n": n, "rate": sent["rate"], "p50_ms": sent["p50_ms"], "p99_ms": sent["p99_ms"],
            "cpu_s_per_1000": round((side.cpu() - cpu) * 1000 / n, 4),
            "driver_cpu_s_per_1000": round(sent["driver_cpu_s"] * 1000 / n, 4)}
