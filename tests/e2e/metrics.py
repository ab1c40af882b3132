# SPDX-License-Identifier: Apache-2.0
"""Figures for monitoring: valid OpenMetrics with the truth in it, HTTP that takes no nonsense, and a server that does not
care when the role behind it dies."""
import http.client
import os
import re
import subprocess
import time

from harness import wire
from harness.case import Skip
from harness.server import Serve

PARSE = """
import sys
import prometheus_client.openmetrics.parser as parser
for family in parser.text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation, family.name
    print(family.name)
"""


def get(server, path="/metrics", method="GET", source=None):
    c = http.client.HTTPConnection(server.host, server.ports["metrics"], timeout=10,
                                   source_address=(source, 0) if source else None)
    c.request(method, path)
    r = c.getresponse()
    body = r.read().decode()
    c.close()
    return r.status, body, r


def values(text, name, **labels):
    """The sum of a metric's samples that have these labels."""
    total, seen = 0.0, False
    for line in text.splitlines():
        m = re.fullmatch(re.escape(name) + r"(?:\{(.*)\})? (\S+)", line)
        if m and all(f'{k}="{v}"' in (m.group(1) or "") for k, v in labels.items()):
            total, seen = total + float(m.group(2)), True
    assert seen, f"no {name} {labels}"
    return total


def raw(server, data, wait=True):
    w = wire.Wire(server.host, server.ports["metrics"])
    w.send(data)
    reply = b""
    try:
        while wait:
            reply += w.exactly(1)
    except (wire.Closed, wire.Timeout, OSError):
        pass
    w.close()
    return reply


def case_text_is_valid(t):
    """The OpenMetrics parser of Prometheus' Python client reads it, every family has help, none is there twice."""
    server = t.server()
    probe = subprocess.run(["/usr/bin/python3", "-c", "import prometheus_client.openmetrics.parser"], check=False,
                           capture_output=True)
    if probe.returncode != 0:
        raise Skip("python3-prometheus-client is not installed")
    status, text, reply = get(server)
    assert status == 200 and reply.getheader("Content-Type").startswith("application/openmetrics-text; version=1.0.0")
    done = t.run(["/usr/bin/python3", "-c", PARSE], stdin=text.encode())
    names = done.stdout.decode().split()
    assert len(names) > 30 and len(names) == len(set(names)), names
    t.note(f"{len(names)} families, {len(text)} bytes")


def complete(text):
    """A process that did not answer in time is without counters: on a busy machine."""
    wanted = ("barid_logins_total", "barid_deliveries_total", "barid_messages_accepted_total", "barid_connections_open", "barid_fsyncs_total")
    return text if all(name in text for name in wanted) else None


def case_figures_are_true(t):
    """Messages, refusals, logins, deliveries, memory, restarts: counted where they happen."""
    with t.own_server(users=2) as server:
        smtp = wire.Smtp(server)
        for _ in range(3):
            smtp.message("a@client.example", ["user1@example.test"], b"Subject: x\r\n\r\nhi\r\n")
        smtp.command(b"MAIL FROM:<a@client.example>")
        smtp.command(b"RCPT TO:<nobody@example.test>", code=b"550")
        imap = wire.Imap(server, "user1@example.test")
        t.until(lambda: imap.messages("INBOX") == 3, what="deliveries")
        server.kill("scan", 0)
        server.await_role("scan")
        text = t.until(lambda: complete(get(server)[1]), what="an answer of every process")
        assert values(text, "barid_messages_accepted_total") == 3
        assert values(text, "barid_smtp_refusals_total", reason="unknown_user") == 1
        assert values(text, "barid_deliveries_total") == 3
        assert values(text, "barid_delivery_delay_seconds_count") == 3
        assert values(text, "barid_logins_total", outcome="ok") == 1
        assert values(text, "barid_connections_open", service="smtp") == 1
        assert values(text, "barid_connections_open", service="imaps") == 1
        assert values(text, "barid_process_restarts_total", role="scan") == 1
        assert values(text, "barid_process_ready", role="scan") == 2
        assert values(text, "barid_imap_command_duration_seconds_count") > 0
        assert values(text, "barid_fsyncs_total", role="queue") > 0
        assert values(text, "barid_disk_free_bytes") > 0
        assert values(text, "barid_certificate_expiry_timestamp_seconds") > time.time()
        assert 1e6 < values(text, "barid_process_resident_memory_bytes", role="edge") < 1e9
        if os.geteuid() == 0:
            assert 5 < values(text, "barid_process_open_fds", role="edge") < 200
        smtp.close()
        imap.close()
        t.until(lambda: values(get(server)[1], "barid_connections_open", service="imaps") == 0, what="the gauge going down")


def case_health(t):
    """/health says ok; HEAD has no body; other paths and methods get a clear text."""
    server = t.server()
    assert get(server, "/health")[:2] == (200, "ok\n")
    status, body, reply = get(server, "/metrics", "HEAD")
    assert status == 200 and body == "" and int(reply.getheader("Content-Length")) > 1000
    assert get(server, "/metrics?name=x")[0] == 200
    status, body, _ = get(server, "/")
    assert status == 404 and "/metrics" in body
    status, body, reply = get(server, "/metrics", "DELETE")
    assert status == 405 and reply.getheader("Allow") == "GET, HEAD" and "GET" in body


def case_framing(t):
    """Byte by byte, several at once, half, too long, not HTTP: an answer or an end, never a wait; others are served."""
    server = t.server()
    one = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n"
    assert raw(server, one * 5 + last).count(b"\r\n\r\nok\n") == 6
    w = wire.Wire(server.host, server.ports["metrics"])
    for i in range(len(last)):
        w.send(last[i:i + 1])
    reply = w.exactly(15)
    assert reply == b"HTTP/1.1 200 OK", reply
    w.close()
    for bad, status in ((b"GET / HTTP/1.1\r\nX: " + b"y" * 9000, b"431"), (b"EHLO x\r\n\r\n", b"400"),
                        (b"GET /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"501"),
                        (b"GET /health HTTP/1.1\nHost: x\n\r\n\r\n", b"400"), (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
                        (b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /health HTTP/1.1\r\n\r\n", b"405")):
        reply = raw(server, bad)
        assert reply.startswith(b"HTTP/1.1 " + status) and reply.count(b"HTTP/1.1 ") == 1, (bad[:40], reply)
    raw(server, b"GET /metr", wait=False)
    assert get(server, "/health")[0] == 200


def case_admin_may_die(t):
    """The role behind it is killed, or stops answering: 503 in time, mail goes on, and it comes back."""
    with t.own_server(users=1) as server:
        server.kill("admin")
        server.await_role("admin")
        t.until(lambda: get(server)[0] == 200, what="admin's return")
        server.freeze("scan")
        begun = time.monotonic()
        status, text, _ = get(server)
        server.freeze("scan", 18)  # SIGCONT
        assert status == 200 and "barid_deliveries_total" in text and time.monotonic() - begun < 4
        server.freeze("admin")
        wire.Smtp(server).message("a@client.example", ["user1@example.test"], b"Subject: x\r\n\r\nhi\r\n")
        begun = time.monotonic()
        assert get(server)[0] == 503 and time.monotonic() - begun < 8
        server.freeze("admin", 18)
        t.until(lambda: get(server)[0] == 200, what="admin going on")


def case_trusted_clients_only(t):
    """Whoever is not in trusted_clients gets no byte."""
    def conf(server):
        return f"trusted_clients = 127.0.0.9\n[metrics]\nlisten = 127.0.0.1:{server.ports['metrics']}\n" \
               f"[imap]\nlisten =\n[imaps]\nlisten =\n[submission]\nlisten =\n[submissions]\nlisten =\n" \
               f"[smtp]\nlisten = 127.0.0.1:{server.ports['smtp']}"
    server = Serve(build=t.build, conf=conf)
    with server:
        assert get(server, "/health", source="127.0.0.9")[0] == 200
        try:
            get(server, "/health")
            raise AssertionError("a stranger was answered")
        except (http.client.RemoteDisconnected, ConnectionResetError):
            pass
        wire.Smtp(server).close()
