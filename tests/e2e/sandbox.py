# SPDX-License-Identifier: Apache-2.0
"""What each role really may do, seen from outside through /proc. docs/SECURITY-MODEL.md says why."""
import os
import re

from harness import wire
from harness.case import Skip, alone
from harness.server import role_processes

# What a role may hold open: its INET sockets, and files below the state folder (by regular expression).
LISTENS = {"master", "edge"}
INET = {"edge", "dns", "relay"}
FILES = {
    "edge": r"$^",
    "mta": r"policy",
    "scan": r"$^",
    "queue": r"spool|blob",
    "user": r"store|mail|blob",
    "dir": r"dir",
    "admin": r"$^",
    "dns": r"$^",
    "relay": r"$^",
}
ROLES = set(FILES)


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def descriptors(pid):
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return found


def inet_sockets():
    """{inode: listening?} of all TCP and UDP sockets of this machine."""
    found = {}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        try:
            with open(f"/proc/net/{table}", encoding="ascii") as f:
                for line in f.readlines()[1:]:
                    words = line.split()
                    found[words[9]] = table.startswith("tcp") and words[3] == "0A"
        except FileNotFoundError:
            pass
    return found


def roles(t):
    """A server in use: one session open, one message delivered."""
    server = t.server()
    smtp = wire.Smtp(server)
    smtp.message("a@example.org", ["user1@example.test"], b"Subject: x\r\n\r\n" + b"y" * 76 + b"\r\n")
    smtp.close()
    imap = wire.Imap(server, "user1@example.test")
    t.until(lambda: imap.messages("INBOX"), what="delivery")
    imap.select("INBOX")
    t.cleanup_imap = imap
    return server, role_processes(server.proc.pid)


def case_every_role_runs(t):
    """One process or more of each role."""
    _, processes = roles(t)
    assert {role for _, role in processes} == ROLES, processes


def case_seccomp_and_no_new_privileges(t):
    """Each role: seccomp filter on, no_new_privs, no capability left; every one of its threads too."""
    _, processes = roles(t)
    wrong = []
    for pid, role in processes:
        for thread in os.listdir(f"/proc/{pid}/task"):
            s = status(f"{pid}/task/{thread}")
            for field, wanted in (("Seccomp", "2"), ("NoNewPrivs", "1"), ("CapEff", "0" * 16), ("CapPrm", "0" * 16)):
                if s.get(field) != wanted:
                    wrong.append(f"{role} {thread}: {field} is {s.get(field)}, not {wanted}")
    assert not wrong, "\n".join(wrong)


def case_nothing_of_root_is_left(t):
    """Started as root, a role has no capability in any set, no way back to one, no group but its own, no core file."""
    if os.geteuid() != 0:
        raise Skip("not root: there is nothing to give up")
    server, processes = roles(t)
    bounding = "0" * 16 if setpcap() else None  # without CAP_SETPCAP nobody can lower it
    groups, wrong = {}, []
    for pid, role in processes:
        for thread in os.listdir(f"/proc/{pid}/task"):
            s = status(f"{pid}/task/{thread}")
            for field in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
                if s[field] != "0" * 16 and (field != "CapBnd" or bounding):
                    wrong.append(f"{role}: {field} {s[field]}")
            if len(set(s["Gid"].split())) != 1 or "0" in s["Gid"].split():
                wrong.append(f"{role}: groups {s['Gid']}")
            groups.setdefault(role, set()).update(s["Groups"].split())
        with open(f"/proc/{pid}/limits", encoding="ascii") as f:
            if not re.search(r"Max core file size +0 +0 ", f.read()):
                wrong.append(f"{role}: may have a core file")
        # Ownership of its descriptors' folder shows that it is not dumpable.
        if os.stat(f"/proc/{pid}/fd").st_uid != 0:
            wrong.append(f"{role}: is dumpable")
    shared = {role for role, g in groups.items() if g}
    if shared != {"queue", "user"} or groups["queue"] != groups["user"] or len(groups["user"]) != 1:
        wrong.append(f"groups: {groups}")
    assert not wrong, "\n".join(wrong)


def setpcap():
    return int(status("self")["CapEff"], 16) >> 8 & 1


def case_users_apart(t):
    """Started as root, each role has a user of its own, none is root, and none can be dumped or traced by it."""
    if os.geteuid() != 0:
        raise Skip("not root: the roles share one user")
    _, processes = roles(t)
    users, wrong = {}, []
    for pid, role in processes:
        uids = set(status(pid)["Uid"].split())
        if len(uids) != 1 or "0" in uids:
            wrong.append(f"{role}: uids {uids}")
        uid = uids.pop()
        if users.setdefault(uid, role) != role:
            wrong.append(f"{role} and {users[uid]} share the user {uid}")
        # Files of a process that is not dumpable belong to root whatever its user is.
        if os.stat(f"/proc/{pid}/environ").st_uid != 0:
            wrong.append(f"{role} is dumpable")
    assert not wrong, "\n".join(wrong)


def case_root_writes_through_no_link(t):
    """A role owns its folders, and root writes there at a start: never through a link that the role has laid."""
    server = t.own_server()
    victim = os.path.join(t.scratch(), "victim")
    with open(victim, "w", encoding="ascii") as f:
        f.write("untouched\n")
    before = os.stat(victim)
    try:
        server.start()
        server.stop()
        blob = os.path.join(server.dir, "blob")
        os.unlink(os.path.join(blob, "format"))
        os.symlink(victim, os.path.join(blob, "format.new"))
        created = os.path.join(os.path.dirname(victim), "created")
        for name in ("-wal", "-journal"):
            path = os.path.join(server.dir, "dir", "vmail.db" + name)
            if os.path.lexists(path):
                os.unlink(path)
            os.symlink(created, path)
        server.cli("user", "list", check=False)
        assert not os.path.lexists(created), "the accounts database made a file elsewhere"
        for name in ("-wal", "-journal"):
            os.unlink(os.path.join(server.dir, "dir", "vmail.db" + name))
        server.start()
        server.stop()
        with open(victim, encoding="ascii") as f:
            assert f.read() == "untouched\n"
        after = os.stat(victim)
        assert (before.st_mode, before.st_uid) == (after.st_mode, after.st_uid)
        assert not os.path.islink(os.path.join(blob, "format"))
    finally:
        server.close()


def case_sockets(t):
    """Only edge and dns have INET sockets, and only master and edge hold listening ones."""
    server, processes = roles(t)
    sockets, wrong = inet_sockets(), []
    for pid, role in processes + [(server.proc.pid, "master")]:
        for target in descriptors(pid):
            m = re.match(r"socket:\[(\d+)\]", target)
            if not m or m.group(1) not in sockets:
                continue
            if sockets[m.group(1)]:
                if role not in LISTENS:
                    wrong.append(f"{role} holds a listening socket")
            elif role not in INET:
                wrong.append(f"{role} holds an INET socket")
    assert not wrong, "\n".join(wrong)


def case_log_descriptor(t):
    """The log file is open in each role for appending and nothing else: no role reads or rewrites what others said."""
    server, processes = roles(t)
    wrong = []
    for pid, role in processes:
        flags = []
        for fd in os.listdir(f"/proc/{pid}/fd"):
            if os.readlink(f"/proc/{pid}/fd/{fd}").startswith(server.dir + "/log/"):
                with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
                    flags.append(int(re.search(r"^flags:\s+([0-7]+)", f.read(), re.M).group(1), 8))
        if len(flags) != 1 or flags[0] & os.O_ACCMODE != os.O_WRONLY or not flags[0] & os.O_APPEND:
            wrong.append(f"{role}: {[oct(f) for f in flags]}")
    assert not wrong, "\n".join(wrong)


def case_open_files(t):
    """Each role has open only what its work needs of the state folder."""
    server, processes = roles(t)
    wrong = []
    for pid, role in processes:
        for target in descriptors(pid):
            if target.startswith(server.dir) and not os.path.isdir(target):
                inside = target[len(server.dir):]
                if re.match(r"/log/barid\.log", inside):
                    continue  # every role writes to it: see case_log_descriptor
                if not re.search(FILES[role], inside):
                    wrong.append(f"{role} has {inside} open")
    assert not wrong, "\n".join(wrong)


# The roles that each talks to, by name; the socket to master comes on top.
PEERS = {
    "edge": ("mta", "dir", "user", "admin"),
    "mta": ("edge", "dir", "scan", "queue", "dns", "user"),
    "scan": ("mta", "queue", "user"),
    "queue": ("mta", "user", "dir", "scan", "dns", "relay"),
    "user": ("edge", "queue", "scan", "dir", "mta", "user"),
    "dir": ("edge", "mta", "queue", "user", "relay"),
    "admin": ("edge",),
    "dns": ("mta", "queue", "relay"),
    "relay": ("queue", "dns", "dir"),
}
# What libraries hold beside that: libunbound its thread's loop, two pairs of sockets and a pipe to it.
# An edge also listens for sendmail, on a socket with a name; relay's threads wait for the word that it stops.
MORE = {"edge": {"unix": 1}, "relay": {"eventfd": 1}, "dns": {"eventpoll": 1, "unix": 4, "pipe": 2}}


def case_descriptors(t):
    """Each process holds its loop, its log, the sockets to its peers, its own files, and nothing else that is open."""
    server, processes = roles(t)
    inet, wrong = inet_sockets(), []
    count = {role: len([1 for _, r in processes if r == role]) for role in ROLES}
    output = {os.readlink(f"/proc/{server.proc.pid}/fd/{fd}") for fd in (0, 1, 2)}
    for pid, role in processes:
        peers = 1 + sum(count[peer] - (peer == role) for peer in PEERS[role])
        seen = {}
        for target in descriptors(pid):
            kind = kind_of(target, role, server.dir, inet)
            if kind in ("other", "pipe") and target in output:
                kind = "output"
            if kind == "other":
                wrong.append(f"{role} has {target} open")
            seen[kind] = seen.get(kind, 0) + 1
        for kind, wanted in (("unix", peers), ("eventpoll", 1), ("eventfd", 1), ("log", 1), ("output", 3), ("pipe", 0)):
            wanted += MORE.get(role, {}).get(kind, 0)
            if seen.get(kind, 0) != wanted:
                wrong.append(f"{role}: {seen.get(kind)} of {kind}, {wanted} expected")
    assert not wrong, "\n".join(wrong)


def kind_of(target, role, folder, inet):
    m = re.match(r"socket:\[(\d+)\]", target)
    if m:
        return "unix" if m.group(1) not in inet else "inet" if role in INET else "other"
    m = re.match(r"anon_inode:\[(eventpoll|eventfd)\]", target)
    if m:
        return m.group(1)
    if target.startswith("pipe:") and "pipe" in MORE.get(role, {}):
        return "pipe"
    if target.startswith(folder + "/log/barid.log"):
        return "log"
    if target.startswith(folder + "/") and re.search(FILES[role], target[len(folder):]):
        return "own file"
    return "other"


@alone
def case_libraries(t):
    """The shared libraries that each role has loaded are those of tests/e2e/libraries.txt."""
    server, processes = roles(t)
    table = {}
    with open(os.path.join(os.path.dirname(__file__), "libraries.txt"), encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                role, _, names = line.partition(":")
                table[role] = set(names.split())
    wrong = []
    for pid, role in processes + [(server.proc.pid, "master")]:
        loaded = libraries(pid)
        for name in sorted(loaded ^ table.get(role, set())):
            wrong.append(f"{role}: {name} is {'loaded and not' if name in loaded else 'not loaded but'} in libraries.txt")
    assert not wrong, "\n".join(sorted(set(wrong)))


def libraries(pid):
    """Names of the mapped shared objects, without version and without the loader."""
    found = set()
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as f:
        for line in f:
            m = re.search(r"/(lib[^/]+?)(?:-\d[\d.]*)?\.so(?:\.[\d.]+)?$", line.strip())
            if m:
                found.add(m.group(1))
    return {name for name in found if not re.match(r"lib(nss_|cap$|asan|ubsan|tsan)", name)}
