# SPDX-License-Identifier: Apache-2.0
"""State folders of released versions as text (tests/formats/VERSION), and back into folders of files.

Databases are kept as SQL, so that a fixture can be read and compared; what is no database is kept byte by byte.
"""
import base64
import hashlib
import json
import os
import re
import sqlite3
import zlib

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "formats")
# Made anew by whoever serves the folder; not data.
SKIPPED = re.compile(r"^(tls/|lock$|control\.sock$|.*-(wal|shm)$)")
# Stand in the file's header, not among its rows.
NUMBERS = ("page_size", "auto_vacuum", "encoding", "application_id", "user_version", "journal_mode")


def versions():
    """The released versions that have a fixture, oldest first."""
    names = [n for n in os.listdir(FIXTURES) if os.path.exists(os.path.join(FIXTURES, n, "manifest.json"))]
    return sorted(names, key=lambda n: [int(x) for x in re.findall(r"\d+", n)])


# --- writing -------------------------------------------------------------------------------------


def dump(path, out):
    """A closed database as SQL."""
    db = sqlite3.connect(path)
    try:
        if os.path.exists(path + "-wal") and os.path.getsize(path + "-wal"):
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with open(out, "w", encoding="utf-8") as f:
            f.write("-- SPDX-License-Identifier: Apache-2.0\n")
            for name in NUMBERS:
                value = db.execute(f"PRAGMA {name}").fetchone()[0]
                f.write(f"PRAGMA {name} = {json.dumps(value)};\n")
            f.writelines(line + "\n" for line in db.iterdump())
    finally:
        db.close()


def write(state, folder, manifest):
    """Keep the state folder of a stopped server as a fixture."""
    os.makedirs(folder)
    files = {}
    for top, _, names in os.walk(state):
        for name in sorted(names):
            path = os.path.join(top, name)
            short = os.path.relpath(path, state)
            if SKIPPED.match(short):
                continue
            if name.endswith(".db"):
                dump(path, os.path.join(folder, short.replace("/", "_")[:-3] + ".sql"))
                manifest.setdefault("databases", {})[short] = short.replace("/", "_")[:-3] + ".sql"
                continue
            with open(path, "rb") as f:
                files[short] = {"mode": f"{os.stat(path).st_mode & 0o777:o}", "inode": os.stat(path).st_ino,
                                "zlib": base64.b64encode(zlib.compress(f.read(), 9)).decode()}
    name_links(files)
    for name, value in (("files.json", files), ("manifest.json", manifest)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(value, f, indent=1, sort_keys=True, ensure_ascii=False)
            f.write("\n")


def name_links(files):
    """A second name of a file is kept as such."""
    first = {}
    for short in sorted(files):
        inode = files[short].pop("inode")
        if inode in first:
            files[short] = {"link": first[inode]}
        else:
            first[inode] = short


# --- reading -------------------------------------------------------------------------------------


def manifest_of(version):
    with open(os.path.join(FIXTURES, version, "manifest.json"), encoding="utf-8") as f:
        return json.load(f)


def restore(version, state):
    """Make the state folder as the released version left it; its manifest."""
    folder, manifest = os.path.join(FIXTURES, version), manifest_of(version)
    os.makedirs(state, mode=0o711, exist_ok=True)
    for short, source in manifest["databases"].items():
        path = os.path.join(state, short)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(os.path.join(folder, source), encoding="utf-8") as f:
            load(path, f.read())
    with open(os.path.join(folder, "files.json"), encoding="utf-8") as f:
        files = json.load(f)
    for short, entry in sorted(files.items(), key=lambda item: "link" in item[1]):
        path = os.path.join(state, short)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if "link" in entry:
            os.link(os.path.join(state, entry["link"]), path)
            continue
        with open(path, "wb") as f:
            f.write(zlib.decompress(base64.b64decode(entry["zlib"])))
        os.chmod(path, int(entry["mode"], 8))
    return manifest


def load(path, sql):
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.executescript(sql)
    finally:
        db.close()
    os.chmod(path, 0o600)


# --- looking -------------------------------------------------------------------------------------


def look(imap, mailbox):
    """What a client sees of a mailbox: numbers, and each message's UID, flags, date and SHA-256."""
    try:
        text = b"\n".join(imap.command(b"EXAMINE " + wire_quote(mailbox)))
    except Exception as e:  # pylint: disable=broad-except  (\\Noselect)
        return {"refused": type(e).__name__}
    found = {key: int(re.search(pattern, text).group(1)) for key, pattern in (
        ("exists", rb"\* (\d+) EXISTS"), ("uidvalidity", rb"UIDVALIDITY (\d+)"), ("uidnext", rb"UIDNEXT (\d+)"),
        ("highestmodseq", rb"HIGHESTMODSEQ (\d+)"))}
    found["messages"] = {}
    got = imap.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ BODY.PEEK[])") if found["exists"] else {}
    for values in got.values():
        found["messages"][values["UID"]] = {
            "flags": sorted(f for f in values["FLAGS"] if f != "\\Recent"), "modseq": int(values["MODSEQ"][0]),
            "internaldate": values["INTERNALDATE"].decode(), "size": int(values["RFC822.SIZE"]),
            "sha256": hashlib.sha256(values["BODY[]"]).hexdigest()}
    return found


def wire_quote(text):
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", text.encode()) + b'"'
