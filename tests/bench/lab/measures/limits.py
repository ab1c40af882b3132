# SPDX-License-Identifier: Apache-2.0
"""What the machine allows: its disk, its TLS, its memory, and a server that does the least possible."""
import os
import re
import subprocess
import tempfile

from .. import drive, place
from . import slow_disk


def measure(record, size):
    """The physical limits: syncs per second, TLS handshakes, copies, and the null server."""
    disk(record, size)
    crypto(record, size)
    copies(record)
    null_server(record, size)


def disk(record, size):
    for i in range(size.rounds):
        for threads in (1, 20, 64):
            with tempfile.TemporaryDirectory(dir=place.scratch()) as folder:
                data = drive.run("fsyncload", "-c", threads, "-t", size.seconds(2), folder)
            record.add(f"fdatasync by {threads}", "machine", {"rate": data["rate"]}, round=i + 1)


def openssl_speed(*arguments):
    done = subprocess.run(["openssl", "speed", "-seconds", "1", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def crypto(record, size):
    """A handshake of TLS 1.3 with P-256: each side makes one key pair and one agreement; server signs, client verifies."""
    for i in range(size.rounds):
        sign = re.search(r"nistp256\)\s+\S+s\s+\S+s\s+([\d.]+)\s+([\d.]+)", openssl_speed("ecdsap256"))
        agree = re.search(r"X25519\)\s+\S+s\s+([\d.]+)", openssl_speed("ecdhx25519"))
        record.add("crypto", "machine", {"signs": float(sign[1]), "verifies": float(sign[2]), "x25519": float(agree[1])}, round=i + 1)


def copies(record):
    """Bytes a second of one core between two buffers of 1 MiB."""
    import time
    a, b = bytearray(1 << 20), bytearray(1 << 20)
    view, n, begun = memoryview(b), 0, time.monotonic()
    while time.monotonic() - begun < 1:
        for _ in range(64):
            view[:] = a
        n += 64
    record.add("copy", "machine", {"gb_s": round(n * (1 << 20) / (time.monotonic() - begun) / 1e9, 2)})


SHAPES = [("4 KB, 20", 20, 30000, 4096, []), ("4 KB, 1", 1, 15000, 4096, []), ("50 KB, 20", 20, 15000, 51200, []),
          ("1 MB, 20", 20, 1500, 1 << 20, []), ("TLS each", 20, 2500, 4096, ["-S", "-m", 1])]
SLOW_SHAPES = [("4 KB, 20, 5 ms", 20, 6000, 4096, []), ("4 KB, 1, 5 ms", 1, 400, 4096, [])]


def null_server(record, size):
    """The same driver against a server that only writes each message into a file and syncs it before its 250."""
    folder = place.scratch()
    cert, key = os.path.join(folder, "null.pem"), os.path.join(folder, "null.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=null.test", "-keyout", key, "-out", cert], check=True, capture_output=True)
    slow = {"LD_PRELOAD": os.path.join(place.BUILD, "tests", "bench", "bench_slow_sync.so"), "SLOW_SYNC_US": str(slow_disk.LATENCY_US)}
    for shapes, environment in ((SHAPES, {}), (SLOW_SHAPES, slow)):
        port, file = place.OFFSET + 26, os.path.join(folder, "null.mail")
        with drive.Program("null", port, file, cert, key, env=dict(os.environ, **environment)) as server:
            server.line()
            for i in range(size.rounds):
                for shape in shapes:
                    null_round(record, size, server, port, i + 1, *shape)


def null_round(record, size, server, port, round_, what, conns, n, bytes_, extra):
    n, before = size.of(n), server.spent()
    data = drive.run("smtpload", "-p", port, "-c", conns, "-n", n, "-s", bytes_, "-u", 100, *extra)
    record.add(f"null server, {what}", "machine",
               {"rate": data["rate"], "cpu_s_per_1000": round((server.spent() - before) * 1000 / n, 4),
                "driver_cpu_s_per_1000": round(data["driver_cpu_s"] * 1000 / n, 4)}, round=round_)
