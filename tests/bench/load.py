#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""load.py - barid alone under many connections, as a Markdown table.

CLIENTS idle TLS IMAP clients, each of an account of its own with MESSAGES messages in its INBOX, which it has
SELECTed and whose flags it has looked at; then CONNECTIONS SMTP connections, all open before the first one sends,
each with a message to RCPTS of those accounts. Memory is the proportional set size of all processes of the server.
"""
import argparse
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import load  # noqa: E402
from harness.server import Serve  # noqa: E402

QUIET_SECONDS = 60


def settled(server):
    """Memory when it shrinks no more: sessions rest, threads end and caches go when they have been quiet for long."""
    sizes = load.memory(server)
    lower = time.monotonic()
    while time.monotonic() - lower < QUIET_SECONDS:
        time.sleep(1)
        now = load.memory(server)
        if sum(now.values()) < 0.99 * sum(sizes.values()):
            lower = time.monotonic()
            sizes = now
    return now


def say(text):
    print(text, file=sys.stderr, flush=True)


def prepare(o, server):
    begun = time.monotonic()
    load.add_users(server, 1, o.clients)
    say(f"{o.clients} accounts in {time.monotonic() - begun:.1f} s")
    if o.messages:
        say(json.dumps(load.fill(server, o.clients, o.messages)))
    server.restart()


def measure(o, server):
    figures = {}
    before = settled(server)
    figures["before"] = before
    with load.Load(server, "idle", clients=o.clients, connections=o.connections, rcpts=o.rcpts) as clients:
        figures["idle"] = clients.step()
        say(json.dumps(figures["idle"]))
        figures["quiet"] = settled(server)
        if o.wait:
            input(f"master is {server.master_pid()}; press return ")
        clients.go()
        if not o.connections:
            return figures
        figures["connected"] = clients.step()
        figures["busy"] = load.memory(server)
        clients.go()
        figures["told"] = clients.step()
        say(json.dumps(figures["told"]))
        figures["after"] = settled(server)
    return figures


def rows(o, f):
    by_role, total = load.grown(f["before"], f["quiet"])
    parts = ", ".join(f"{r} {k / o.clients:.1f}" for r, k in sorted(by_role.items(), key=lambda x: -x[1])
                      if k * 50 > total)
    yield "idle TLS IMAP clients", f"{o.clients}, logged in within {f['idle']['login_s']} s"
    yield f"memory per client, {o.messages} messages each", f"{total / o.clients:.1f} KiB ({parts})"
    yield "memory of everything before", f"{sum(f['before'].values()) / 1024:.1f} MiB"
    if "told" not in f:
        return
    told = f["told"]
    _, smtp = load.grown(f["quiet"], f["busy"])
    yield "parallel SMTP connections", f"{o.connections}, open within {f['connected']['connect_s']} s"
    yield "memory per SMTP connection", f"{smtp / o.connections:.1f} KiB"
    yield (f"{o.connections} messages to {told['told']} clients",
           f"accepted in {told['accept_s']:.2f} s, all told after {told['all_told_s']:.2f} s")
    yield "from 250 until told", "p50 {p50} ms, p99 {p99} ms, most {max} ms".format(**told["from_250_ms"])
    _, later = load.grown(f["before"], f["after"])
    yield "memory per client afterwards", f"{later / o.clients:.1f} KiB"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--clients", type=int, default=15000)
    p.add_argument("--messages", type=int, default=1000)
    p.add_argument("--connections", type=int, default=5000)
    p.add_argument("--rcpts", type=int, default=3)
    p.add_argument("--build", default="build")
    p.add_argument("--wait", action="store_true", help="stop when all are idle, for a look at the processes")
    o = p.parse_args()
    server = Serve(build=o.build, conf=lambda s: load.configuration(s, o.clients + o.connections + 1000))
    try:
        server.start()
        prepare(o, server)
        figures = measure(o, server)
        server.stop()
    finally:
        server.close()
    for problem in server.problems():
        say(problem)
    print("| measure | barid |\n|---|---|")
    for name, value in rows(o, figures):
        print(f"| {name} | {value} |")


main()
