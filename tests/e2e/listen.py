# SPDX-License-Identifier: Apache-2.0
"""Which sockets a server has, how it gets them from systemd, and what it tells systemd."""
import os
import re
import socket
import subprocess
import sys
import time

from harness import wire
from harness.server import Serve

# Becomes a program with sockets from descriptor 3 on and the variables of sd_listen_fds(3): the process id must be its own.
ACTIVATE = """
import os, sys
fds, names, command = [int(x) for x in sys.argv[1].split(",") if x], sys.argv[2], sys.argv[3:]
high = [os.dup2(fd, 200 + i, inheritable=False) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


def only_imap(server):
    """A configuration with IMAP on one address of each family and nothing else."""
    port = server.ports["imap"]
    return (f"[smtp]\nlisten =\n[submission]\nlisten =\n[submissions]\nlisten =\n[imaps]\nlisten =\n"
            f"[imap]\nlisten = 127.0.0.1:{port}, [::1]:{port}")


def greeting(host, port):
    w = wire.Wire(host, port)
    line = w.line()
    w.close()
    return line


def failed_start(server, command=None, env=None, fds=()):
    """Start what must not start; its log."""
    server.write_conf()
    done = subprocess.run(command or server.command(), env={**server.env, **(env or {})}, capture_output=True, timeout=20,
                          text=True, check=False, stdin=subprocess.DEVNULL, pass_fds=fds)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    return done.stderr


def listening(address, port, family=socket.AF_INET, dual=False):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
    s.bind((address, port))
    s.listen(64)
    return s


def case_both_families_stand_together(t):
    """0.0.0.0 and [::] of one port, each a socket of its own; `barid ports` tells both."""
    def conf(server):
        port = server.ports["imap"]
        return only_imap(server).replace("127.0.0.1", "0.0.0.0").replace("[::1]", "[::]")
    with Serve(build=t.build, conf=conf) as server:
        for host in ("127.0.0.1", "127.0.0.7", "::1"):
            assert greeting(host, server.ports["imap"]).startswith(b"* OK"), host
        shown = server.cli("ports")
        assert re.search(r"imap +0\.0\.0\.0 ", shown) and re.search(r"imap +:: ", shown), shown


def case_a_taken_port_is_explained(t):
    """Who may hold the port, and how to find out; likewise an address that is not ours."""
    server = Serve(build=t.build, conf=only_imap)
    try:
        server.make()
        port = server.ports["imap"]
        with listening("127.0.0.1", port):
            log = failed_start(server)
        assert f"another program has port {port}" in log and f"ss -ltnp 'sport = :{port}'" in log, log
        server.conf = lambda s: only_imap(s).replace("127.0.0.1", "192.0.2.77")
        log = failed_start(server)
        assert "no such address" in log and "192.0.2.77" in log, log
        server.conf = lambda s: only_imap(s).replace("[::1]", "[fe80::1%nosuchif]")
        log = failed_start(server)
        assert "no such address or interface" in log and "fe80::1%nosuchif" in log, log
    finally:
        server.close()


def activated(server, sockets, names):
    """The command that runs the server with these sockets."""
    fds = ",".join(str(s.fileno()) for s in sockets)
    for s in sockets:
        s.set_inheritable(True)
    return [sys.executable, "-c", ACTIVATE, fds, names]


def case_sockets_of_systemd_are_used(t):
    """LISTEN_FDS: sockets are matched by address and port; what waited in them before the start is served."""
    server = Serve(build=t.build, conf=only_imap)
    try:
        server.make()
        port = server.ports["imap"]
        with listening("127.0.0.1", port) as v4, listening("::1", port, socket.AF_INET6) as v6:
            early = wire.Wire("127.0.0.1", port)
            run = subprocess.Popen(activated(server, [v6, v4], "six:four") + server.command(), env=server.env,
                                   stdout=subprocess.PIPE, stderr=open(server.log, "ab"), close_fds=False,
                                   stdin=subprocess.DEVNULL)
            try:
                assert run.stdout.readline() == b"ready\n", server.log_tail()
                assert early.line().startswith(b"* OK")
                assert greeting("::1", port).startswith(b"* OK")
                log = server.log_text()
                assert f"socket-inherited service=imap address=127.0.0.1:{port} name=four" in log, log
                assert f'socket-inherited service=imap address="[::1]:{port}" name=six' in log or \
                    f"socket-inherited service=imap address=[::1]:{port} name=six" in log, log
            finally:
                run.terminate()
                run.wait(10)
    finally:
        server.close()


def case_one_socket_for_both_families(t):
    """A socket of systemd's default kind, [::] that takes IPv4 too, serves both addresses of the configuration."""
    server = Serve(build=t.build, conf=lambda s: only_imap(s).replace("127.0.0.1", "0.0.0.0").replace("[::1]", "[::]"))
    try:
        server.make()
        port = server.ports["imap"]
        with listening("::", port, socket.AF_INET6, dual=True) as both:
            run = subprocess.Popen(activated(server, [both], "imap") + server.command(), env=server.env,
                                   stdout=subprocess.PIPE, stderr=open(server.log, "ab"), close_fds=False,
                                   stdin=subprocess.DEVNULL)
            try:
                assert run.stdout.readline() == b"ready\n", server.log_tail()
                assert greeting("127.0.0.1", port).startswith(b"* OK")
                assert greeting("::1", port).startswith(b"* OK")
            finally:
                run.terminate()
                run.wait(10)
    finally:
        server.close()


def case_a_socket_that_no_service_has(t):
    """An inherited socket without a service is an error that names it; so is one that does not listen."""
    server = Serve(build=t.build, conf=only_imap)
    try:
        server.make()
        with listening("127.0.0.1", 0) as stray, socket.socket() as plain:
            port = stray.getsockname()[1]
            log = failed_start(server, activated(server, [stray], "web") + server.command(), fds=[stray.fileno()])
            assert f"127.0.0.1:{port} (web)" in log, log
            log = failed_start(server, activated(server, [plain], "odd") + server.command(), fds=[plain.fileno()])
            assert "(odd), which is no listening TCP socket" in log, log
            # Meant for another process: not taken.
            log = failed_start(server, env={"LISTEN_PID": "1", "LISTEN_FDS": "nonsense", "NOTIFY_SOCKET": "bad"})
            assert "NOTIFY_SOCKET is neither a path nor an abstract name" in log, log
    finally:
        server.close()


def heard(sock, wanted, seconds=10):
    """Messages until one begins with `wanted`."""
    sock.settimeout(seconds)
    while True:
        text = sock.recv(4096).decode()
        if text.startswith(wanted):
            return text


def case_systemd_is_told(t):
    """READY=1 when all serve, WATCHDOG=1 in time, STATUS of a death, STOPPING=1; over an abstract socket and a path."""
    for address in (f"\0barid-test-{os.getpid()}", os.path.join(t.scratch(), "notify")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            env = {"NOTIFY_SOCKET": address.replace("\0", "@"), "WATCHDOG_USEC": "400000", "FDSTORE": "8"}
            server = Serve(build=t.build, conf=only_imap)
            try:
                server.make()
                server.env.update(env)
                server.start()
                assert heard(manager, "FDSTORE=1").endswith("FDNAME=barid-listener")
                ready = heard(manager, "READY=1")
                assert f"MAINPID={server.proc.pid}\n" in ready and "STATUS=Serving" in ready, ready
                begun = time.monotonic()
                for _ in range(5):
                    heard(manager, "WATCHDOG=1")
                assert time.monotonic() - begun < 2.0
                server.kill("scan")
                assert "scan" in heard(manager, "STATUS=")
                heard(manager, "READY=1")
                server.cli("reload")
                begun = re.match(r"RELOADING=1\nMONOTONIC_USEC=(\d+)$", heard(manager, "RELOADING=1"))
                assert begun and abs(time.monotonic() - int(begun[1]) / 1e6) < 10, begun
                heard(manager, "READY=1")
                server.stop()
                heard(manager, "STOPPING=1")
                assert not server.problems(), server.problems()
            finally:
                server.close()
