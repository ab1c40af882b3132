# SPDX-License-Identifier: Apache-2.0
"""What a power cut leaves of a folder: reads the log of tests/durability/recorder.c and builds folders from it.

    log = Log(path); log.make(of_folder=state)     before the program runs, with log.environment()
    log.position()                                 "now": what a client was told so far is told before this
    disk = Disk(state_before)                      everything is durable
    for record in log.records(): disk.take(record)
    disk.build(target, "torn", random.Random(7))

The model is that of src/sys/fs_fault.h. Bytes are durable after a sync of their file, names after a sync of their folder,
and a sync covers what was done before it began. What is not durable is lost (`drop`), kept (`keep`), or lost or kept one
by one (`torn`): each sector of 512 bytes, each size, each name; a sector that was written several times shows any of them.
Who owns a file and who may read it is not lost. What SQLite keeps in a -shm file is never durable: it is absent, and
nonsense in `torn`.
"""
import collections
import contextlib
import hashlib
import mmap
import os
import stat
import struct
import time

SECTOR = 512
NEW, WRITE, SIZE, SYNC, LINK, RENAME, UNLINK, MKDIR, RMDIR, ATTR, SYNC_ALL = range(1, 12)
MODES = ("drop", "keep", "torn")
HEAD = struct.Struct("<IHHIIQQQQQ")
FIRST = 4096  # where records begin

Record = collections.namedtuple("Record", "end op pid inode at n folder folder2 data")


class Log:
    """The file that the recorders append to."""

    def __init__(self, path, size=1 << 30):
        self.path, self.size = path, size
        self.map = None

    def make(self, of_folder):
        with open(self.path, "wb") as f:
            f.truncate(self.size)
        os.chmod(self.path, 0o666)
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), self.size)
        self.map[:16] = struct.pack("<QQ", FIRST, os.stat(of_folder).st_dev)

    def environment(self, library, sync_us=0):
        return {"LD_PRELOAD": library, "BARID_RECORD": self.path, "BARID_RECORD_SYNC_US": str(sync_us)}

    @contextlib.contextmanager
    def paused(self):
        """Nobody changes a file meanwhile: so who is killed now has changed nothing that the log does not know."""
        self.map[24:28] = struct.pack("<I", 1)
        while self.owner():
            time.sleep(0.0005)
        yield
        held = self.owner()
        time.sleep(0.05)
        if held and self.owner() == held:  # it died while it saw that it has to wait
            self.map[16:20] = bytes(4)
        self.map[24:28] = bytes(4)

    def owner(self):
        return struct.unpack_from("<I", self.map, 16)[0]

    def position(self):
        return struct.unpack_from("<Q", self.map, 0)[0]

    def records(self, start=FIRST):
        end = self.position()
        if struct.unpack_from("<I", self.map, 20)[0]:
            raise RuntimeError("the log of changes is full")
        while start < end:
            size, op, _, pid, length, inode, at, n, folder, folder2 = HEAD.unpack_from(self.map, start)
            data = self.map[start + HEAD.size:start + HEAD.size + length]
            yield Record(start + size, op, pid, inode, at, n, folder, folder2, data)
            start += size

    def close(self):
        if self.map:
            self.map.close()
        if os.path.exists(self.path):
            os.unlink(self.path)


def put(buffer, at, data):
    if at > len(buffer):
        buffer.extend(bytes(at - len(buffer)))
    buffer[at:at + len(data)] = data


def resize(buffer, size):
    if size < len(buffer):
        del buffer[size:]
    else:
        buffer.extend(bytes(size - len(buffer)))


class File:
    def __init__(self, attributes, data=b""):
        self.attributes = attributes  # mode, uid, gid
        self.synced = bytearray(data)
        self.now = bytearray(data)
        self.pending = []  # (end of the record, offset, bytes or None for a new size)

    @staticmethod
    def apply(buffer, at, data):
        if data is None:
            resize(buffer, at)
        else:
            put(buffer, at, data)

    def change(self, end, at, data):
        self.pending.append((end, at, data))
        self.apply(self.now, at, data)

    def sync(self, before):
        n = 0
        while n < len(self.pending) and self.pending[n][0] <= before:
            self.apply(self.synced, *self.pending[n][1:])
            n += 1
        del self.pending[:n]

    def after_cut(self, mode, rng):
        if mode == "drop" or not self.pending:
            return self.synced
        return self.now if mode == "keep" else self.torn(rng)

    def torn(self, rng):
        """Each sector as it was at one of the moments since the last sync; one of the sizes."""
        touches = collections.Counter()
        sizes, size = [len(self.synced)], len(self.synced)
        steps = []
        for _, at, data in self.pending:
            if data is None:
                steps.append((min(at, size), bytes(max(0, size - at))))
                size = at
            else:
                steps.append((at, data))
                size = max(size, at + len(data))
            sizes.append(size)
            touches.update(sectors(*steps[-1]))
        left = {s: rng.randint(0, touches[s]) for s in sorted(touches)}
        result = bytearray(self.synced)
        for at, data in steps:
            for s in sectors(at, data):
                if left[s] > 0:
                    left[s] -= 1
                    a, b = max(at, s * SECTOR), min(at + len(data), (s + 1) * SECTOR)
                    put(result, a, data[a - at:b - at])
        resize(result, rng.choice(sizes))
        return result


def sectors(at, data):
    return range(at // SECTOR, (at + len(data) + SECTOR - 1) // SECTOR) if data else ()


class Change:
    """One change of names that is not durable yet."""

    def __init__(self, end, old, new, file):
        self.end, self.old, self.new, self.file = end, old, new, file  # keys (folder, name) or None
        self.waits_for = {key[0] for key in (old, new) if key}

    def apply(self, names):
        if self.old is None:
            names[self.new] = self.file
        elif names.get(self.old) == self.file:
            del names[self.old]
            if self.new:
                names[self.new] = self.file


class Disk:
    def __init__(self, folder):
        """`folder` as it is now, all of it durable."""
        self.objects = {}   # number -> File, or the attributes of a folder
        self.by_inode = {}  # inode -> number
        self.durable = {}   # (number of a folder, name) -> number
        self.now = {}
        self.journal = []
        self.ignored = 0
        self.root = self.read(folder)
        self.now = dict(self.durable)

    def add(self, inode, thing):
        number = len(self.objects) + 1
        self.objects[number] = thing
        self.by_inode[inode] = number
        return number

    def read(self, folder):
        st = os.stat(folder)
        number = self.add(st.st_ino, (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid))
        for entry in os.scandir(folder):
            st = entry.stat(follow_symlinks=False)
            attributes = (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid)
            if stat.S_ISDIR(st.st_mode):
                child = self.read(entry.path)
            elif not stat.S_ISREG(st.st_mode):
                continue
            elif st.st_nlink > 1 and st.st_ino in self.by_inode:
                child = self.by_inode[st.st_ino]
            else:
                with open(entry.path, "rb") as f:
                    child = self.add(st.st_ino, File(attributes, f.read()))
            self.durable[number, entry.name] = child
        return number

    # --- the log ----------------------------------------------------------------------------------

    def take(self, r):
        """Make the change. True for a sync of something that is ours."""
        if r.op == SYNC_ALL:
            for thing in self.objects.values():
                if isinstance(thing, File):
                    thing.sync(r.at)
            return self.names_synced(None, r.at)
        if r.op in (WRITE, SIZE, SYNC, ATTR):
            return self.take_data(r)
        return self.take_name(r)

    def take_data(self, r):
        number = self.by_inode.get(r.inode)
        thing = self.objects.get(number)
        if thing is None:
            self.ignored += 1
        elif r.op == ATTR:
            attributes = (r.at, r.n >> 32, r.n & 0xFFFFFFFF)
            if isinstance(thing, File):
                thing.attributes = attributes
            else:
                self.objects[number] = attributes
        elif not isinstance(thing, File):
            return self.names_synced(number, r.at)
        elif r.op == SYNC:
            thing.sync(r.at)
            return True
        else:
            thing.change(r.end, r.at, r.data if r.op == WRITE else None)
        return False

    def names_synced(self, folder, before):
        left = []
        for c in self.journal:
            if c.end <= before:
                c.waits_for -= {folder} if folder else c.waits_for
            if c.waits_for:
                left.append(c)
            else:
                c.apply(self.durable)
        self.journal = left
        return True

    def take_name(self, r):
        name, name2 = r.data.split(b"\0")[:2]
        folder, folder2 = self.by_inode.get(r.folder), self.by_inode.get(r.folder2)
        key, key2 = (folder, os.fsdecode(name)), (folder2, os.fsdecode(name2))
        if r.op in (NEW, MKDIR):
            if folder is None:
                self.by_inode.pop(r.inode, None)  # a file of somebody else got the number of one that is gone
                self.ignored += 1
                return False
            attributes = (r.at, r.n >> 32, r.n & 0xFFFFFFFF)
            file = self.add(r.inode, File(attributes) if r.op == NEW else attributes)
            if name:
                self.change(Change(r.end, None, key, file))
        elif r.op == LINK and folder is not None and r.inode in self.by_inode:
            self.change(Change(r.end, None, key, self.by_inode[r.inode]))
        elif r.op in (UNLINK, RMDIR) and key in self.now:
            self.change(Change(r.end, key, None, self.now[key]))
        elif r.op == RENAME and key in self.now and folder2 is not None:
            self.change(Change(r.end, key, key2, self.now[key]))
        else:
            self.ignored += 1
        return False

    def change(self, c):
        c.apply(self.now)
        self.journal.append(c)

    # --- the state after a cut --------------------------------------------------------------------

    def names_after(self, mode, rng):
        if mode == "keep":
            return self.now
        names = dict(self.durable)
        if mode == "torn":
            for c in self.journal:
                if rng.random() < 0.5:
                    c.apply(names)
        return names

    def tree(self, names):
        children = collections.defaultdict(list)
        for (folder, name), number in names.items():
            children[folder].append((name, number))
        return children

    def build(self, target, mode, rng):
        """Write the folder; a digest of what is in it."""
        names = self.names_after(mode, rng)
        digest = hashlib.sha256()
        self.build_folder(target, self.root, self.tree(names), (mode, rng, {}), digest)
        return digest.hexdigest()

    def build_folder(self, path, number, children, how, digest):
        mode, rng, made = how
        os.mkdir(path)
        for name, child in sorted(children[number]):
            thing, at = self.objects[child], os.path.join(path, name)
            digest.update(name.encode() + b"\0")
            if not isinstance(thing, File):
                self.build_folder(at, child, children, how, digest)
            elif name.endswith("-shm"):
                if mode == "torn":
                    self.write(at, thing, rng.randbytes(32768))
            elif child in made:
                os.link(made[child], at)
            else:
                made[child] = at
                data = thing.after_cut(mode, rng)
                digest.update(data)
                self.write(at, thing, data)
        self.attributes(path, self.objects[number])

    def write(self, path, file, data):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            done = 0
            while done < len(data):
                done += os.write(fd, memoryview(data)[done:])
        finally:
            os.close(fd)
        self.attributes(path, file.attributes)

    @staticmethod
    def attributes(path, attributes):
        mode, uid, gid = attributes
        if os.getuid() == 0:
            os.chown(path, uid, gid)
        os.chmod(path, mode)

    # --- is the log whole? ------------------------------------------------------------------------

    def differences(self, folder):
        """Where the folder on disk is not what the log says that it is now."""
        found = []
        self.compare(folder, self.root, self.tree(self.now), found)
        return found

    def compare(self, path, number, children, found):
        real = {e.name: e for e in os.scandir(path) if e.is_dir(follow_symlinks=False) or e.is_file(follow_symlinks=False)}
        ours = dict(children[number])
        found += [f"{os.path.join(path, name)}: only on disk" for name in sorted(set(real) - set(ours))]
        found += [f"{os.path.join(path, name)}: only in the log" for name in sorted(set(ours) - set(real))]
        for name in sorted(set(real) & set(ours)):
            thing, at = self.objects[ours[name]], os.path.join(path, name)
            if not isinstance(thing, File):
                self.compare(at, ours[name], children, found)
            elif not name.endswith("-shm"):
                with open(at, "rb") as f:
                    data = f.read()
                if data != thing.now:
                    found.append(f"{at}: {len(data)} bytes on disk, {len(thing.now)} in the log")
