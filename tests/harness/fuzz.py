# SPDX-License-Identifier: Apache-2.0
"""What the fuzz targets (src/**/foo_fuzz.c) are fed.

tests/corpus/NAME/          inputs that somebody named: what they show, and every one that found something
tests/corpus/NAME.inputs    a small set that reaches what fuzzing has reached so far: one input a line, in base64
tests/corpus/WORD.dict      words for the targets whose name has WORD
"""
import base64
import os

CORPUS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "corpus")
HEAD = "# SPDX-License-Identifier: Apache-2.0\n# Written by ./dev fuzz --keep: one input a line, in base64.\n"
INPUT_MAX = 4096  # bytes of an input that is kept
# Who reads the lines and messages of the transcripts, beside the targets whose name says so.
LIKE_SMTP = ("codec_frame_frame_data", "codec_frame_frame_line")


def targets(build):
    """Names of the targets that are in a build folder."""
    folder = os.path.join(build, "src")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(n[:-len("_fuzz")] for n in names if n.endswith("_fuzz"))


def program(build, name):
    return os.path.join(build, "src", name + "_fuzz")


def environment():
    """Variables for a target: its folders are in memory where that is possible, so no disk is waited for."""
    return {"TMPDIR": "/dev/shm"} if os.access("/dev/shm", os.W_OK) else {}


def words(name):
    """imap, smtp, mime, ipc: the protocols that a target is about, by its name."""
    found = [w for w in ("imap", "smtp", "mime", "ipc") if "_" + w in name]
    return found + ["smtp"] if name in LIKE_SMTP else found


def dictionary(name):
    for word in words(name):
        path = os.path.join(CORPUS, word + ".dict")
        if os.path.exists(path):
            return path
    return None


def kept(name):
    """The inputs in the tree, as bytes: the named ones, then the others."""
    found = []
    folder = os.path.join(CORPUS, name)
    for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, file), "rb") as f:
            found.append(f.read())
    packed = folder + ".inputs"
    if os.path.exists(packed):
        with open(packed, encoding="ascii") as f:
            found += [base64.b64decode(line) for line in f if not line.startswith("#")]
    return found


def unpack(name, folder):
    """Write the inputs in the tree as files to `folder`; returns their paths."""
    os.makedirs(folder, exist_ok=True)
    paths = []
    for i, data in enumerate(kept(name)):
        paths.append(os.path.join(folder, f"{i:04}"))
        with open(paths[-1], "wb") as f:
            f.write(data)
    return paths


def pack(name, folder, total):
    """Write NAME.inputs from the files of `folder`: the small ones first, `total` bytes at most. Returns how many."""
    inputs = []
    for file in os.listdir(folder):
        with open(os.path.join(folder, file), "rb") as f:
            inputs.append(f.read())
    chosen, used = [], 0
    for data in sorted(inputs, key=lambda d: (len(d), d)):
        if len(data) > INPUT_MAX or used + len(data) > total:
            break
        chosen.append(data)
        used += len(data)
    lines = sorted(base64.b64encode(d).decode("ascii") for d in chosen)
    with open(os.path.join(CORPUS, name + ".inputs"), "w", encoding="ascii") as f:
        f.write(HEAD + "".join(line + "\n" for line in lines))
    return len(lines)
