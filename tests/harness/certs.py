# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests: an authority of one's own, and what goes wrong with certificates."""
import hashlib
import os
import subprocess

CONFIG = """[ca]
default_ca = it
[it]
new_certs_dir = {dir}
database = {dir}/index
serial = {dir}/serial
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""


class Files:
    """cert and key as paths; spki_sha256, sha256: what TLSA 3 1 1 and 3 0 1 say."""

    def __init__(self, cert, key):
        self.cert, self.key = cert, key
        der = run("openssl", "x509", "-in", cert, "-outform", "der")
        public = run("openssl", "x509", "-in", cert, "-noout", "-pubkey")
        self.sha256 = hashlib.sha256(der).hexdigest()
        self.spki_sha256 = hashlib.sha256(run("openssl", "pkey", "-pubin", "-outform", "der", given=public)).hexdigest()


def run(*words, given=None):
    done = subprocess.run(words, input=given, capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{words}: {done.stderr.decode()}")
    return done.stdout


class Authority:
    """ca: its certificate's path. Made when the first certificate is asked for."""

    def __init__(self, folder):
        self.dir = folder
        self.ca, self.key = os.path.join(folder, "ca.pem"), os.path.join(folder, "ca.key")
        self.made = {}
        self.files = None

    def begin(self):
        if self.files:
            return
        os.makedirs(self.dir, mode=0o755, exist_ok=True)
        for name, text in (("index", ""), ("serial", "01\n"), ("conf", CONFIG.format(dir=self.dir))):
            with open(os.path.join(self.dir, name), "w", encoding="ascii") as f:
                f.write(text)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", "/CN=Authority of tests", "-keyout", self.key, "-out", self.ca)
        self.files = Files(self.ca, self.key)

    @property
    def sha256(self):
        self.begin()
        return self.files.sha256

    def certificate(self, kind, *names):
        """kind: good, expired, self-signed, self-signed-rsa. The chain has the authority behind the certificate."""
        self.begin()
        at = (kind, names)
        if at not in self.made:
            self.made[at] = self.make(kind, names)
        return self.made[at]

    def make(self, kind, names):
        base = os.path.join(self.dir, f"{len(self.made)}-{names[0].replace('*', 'any')}")
        cert, key = base + ".pem", base + ".key"
        subject = ["-subj", f"/CN={names[0]}", "-addext", "subjectAltName=" + ",".join(f"IP:{n}" if n[0].isdigit() else f"DNS:{n}" for n in names)]
        form = ["rsa:2048"] if kind == "self-signed-rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        new = ["openssl", "req", "-newkey", *form, "-nodes", "-keyout", key] + subject
        if kind.startswith("self-signed"):
            run(*new, "-x509", "-days", "30", "-out", cert)
            return Files(cert, key)
        run(*new, "-out", base + ".csr")
        days = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"] if kind == "expired" else ["-days", "30"]
        run("openssl", "ca", "-batch", "-notext", "-config", os.path.join(self.dir, "conf"), "-cert", self.ca, "-keyfile",
            self.key, "-in", base + ".csr", "-out", cert, *days)
        with open(self.ca, encoding="ascii") as ca, open(cert, "a", encoding="ascii") as f:
            f.write(ca.read())
        return Files(cert, key)
