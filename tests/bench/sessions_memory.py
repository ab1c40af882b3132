#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sessions_memory.py - what many sessions on one large mailbox cost, as a Markdown table.

A mailbox of MESSAGES messages; one TLS session that has selected it and looked at flags, in IDLE, then SESSIONS of them, each
time after a minute of silence. Memory is the proportional set size by role. Edge's share is mostly that of TLS, so the same
sessions without a mailbox stand beside it.
"""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import load, wire  # noqa: E402
from harness.server import DOMAIN, Server  # noqa: E402

MESSAGE = b"Subject: x\r\n\r\nabc\r\n"
AT_ONCE = 50
QUIET_SECONDS = 61


def fill(server, user, messages):
    imap = wire.Imap(server, user)
    for _ in range(messages // AT_ONCE):
        text = b"".join(b" {%d+}\r\n%s" % (len(MESSAGE), MESSAGE) for _ in range(AT_ONCE))
        imap.command(b"APPEND INBOX" + text)
    imap.close()


def idle_session(server, user, mailbox):
    imap = wire.Imap(server, user)
    if mailbox:
        exists, _ = imap.select("INBOX")
        imap.fetch(f"{max(exists - 10, 1)}:{exists}", "(UID FLAGS)")
    imap.wire.send(b"i IDLE\r\n")
    wire.imap_line(imap.wire)
    return imap


def quiet(server):
    time.sleep(QUIET_SECONDS)
    return load.memory(server)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--build", default="build")
    p.add_argument("--messages", type=int, default=100_000)
    p.add_argument("--sessions", type=int, default=50)
    o = p.parse_args()
    user = f"alice@{DOMAIN}"
    with Server(build=o.build) as server:
        fill(server, user, o.messages)
        server.restart()
        rows = [("no session", quiet(server))]
        for mailbox in (False, True):
            open_now = [idle_session(server, user, mailbox)]
            rows.append((f"1 session{', mailbox selected' if mailbox else ''}", quiet(server)))
            open_now += [idle_session(server, user, mailbox) for _ in range(o.sessions - 1)]
            rows.append((f"{o.sessions} sessions{', mailbox selected' if mailbox else ''}", quiet(server)))
            for imap in open_now:
                imap.close()
    roles = sorted({role for _, sizes in rows for role in sizes})
    print("| KiB | " + " | ".join(roles) + " | all |")
    print("|---|" + "---|" * (len(roles) + 1))
    for name, sizes in rows:
        print(f"| {name} | " + " | ".join(str(sizes.get(role, 0)) for role in roles) + f" | {sum(sizes.values())} |")


if __name__ == "__main__":
    main()
