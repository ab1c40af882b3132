# SPDX-License-Identifier: Apache-2.0
"""The services for other mail servers: policy, look-ups of rewritten senders, quota status, each beside the program that is asked today."""
import os
import socket

from .. import drive, place, side
from .end_to_end import turns

TABLES, POLICIES = 8, 20  # connections
OURS = {"srs_forward": 778, "srs_reverse": 779, "quota_status": 340, "policy": 777}


def port(s, name):
    """Of a service, by barid's name for it."""
    if isinstance(s, side.Barid):
        return place.OFFSET + OURS[name]
    return s.port({"srs_forward": "srs_forward", "srs_reverse": "srs_reverse", "policy": "postgrey", "quota_status": "quota"}[name])


def rewritten(s):
    """A file of addresses that this server rewrote, for the way back."""
    path = os.path.join(place.scratch(), f"rewritten-{port(s, 'srs_reverse')}")
    with socket.create_connection(("127.0.0.1", port(s, "srs_forward")), 20) as c, c.makefile("rb") as answers, \
            open(path, "w", encoding="ascii") as f:
        for n in range(1000):
            c.sendall(b"get sender%d@load%d.test\n" % (n, n))
            code, value = answers.readline().decode().split()
            if code != "200":
                raise place.Failure(f"bench: {s.name} does not rewrite: {value}")
            f.write(value + "\n")
    return path


def table(s, name, n, *more):
    s.quiet()
    got = drive.run("table", "-p", port(s, name), "-c", TABLES, "-n", n, *more)
    if got["found"] != n:
        raise place.Failure(f"bench: {s.name} found {got['found']} of {n}")
    return got


def policy(s, name, n, triplets, *more):
    s.quiet()
    cpu = s.cpu()
    got = drive.run("policyload", "-p", port(s, name), "-c", POLICIES, "-n", n, "-t", triplets, "-u", drive.USERS, *more)
    if got["failed"]:
        raise place.Failure(f"bench: {got['failed']} requests to {s.name} failed")
    return {"n": n, "rate": got["rate"], "p50_ms": got["p50_ms"], "p99_ms": got["p99_ms"],
            "cpu_s_per_1000": round((s.cpu() - cpu) * 1000 / n, 4)}


def srs(record, size):
    """Look-ups of rewritten senders, there and back, 8 connections, beside postsrsd."""
    with side.Side("postsrsd", "policy") as p, side.Barid() as b:
        n, back = size.of(100000), {s.name: rewritten(s) for s in (p, b)}
        for s in (p, b):
            table(s, "srs_forward", n // 10)
        turns(record, size, [p, b], "srs, there", lambda s: table(s, "srs_forward", n))
        turns(record, size, [p, b], "srs, back", lambda s: table(s, "srs_reverse", n, "-r", back[s.name]))


def quota(record, size):
    """Quota status at RCPT, 20 connections, beside Dovecot's."""
    with side.Classic("Dovecot") as d, side.Barid() as b:
        n = {d.name: size.of(4000), b.name: size.of(80000)}
        for s in (d, b):
            policy(s, "quota_status", n[s.name] // 10, 1000)
        turns(record, size, [d, b], "quota", lambda s: policy(s, "quota_status", n[s.name], 1000))
