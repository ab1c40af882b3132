# SPDX-License-Identifier: Apache-2.0
"""A milter made of answers, for what programs of others would not do: refuse at a chosen step, order what nobody asked for, hang, die.

    milter = Milter({"rcpt": lambda said: REJECT if b"bob" in said.args[0] else CONTINUE, "eom": [add_header("X", "1"), CONTINUE]})
    Serve(conf=lambda server: f"[smtp]\\nmilters = {milter.address}\\n")
    milter.events()      # [Said(name, args, macros)] of all connections, in order

An answer is a packet, a list of packets, HANG, DIE, or a function of what was said that gives one of these.
"""
import os
import socket
import struct
import threading
import time

CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, SKIP, PROGRESS = b"c", b"a", b"r", b"t", b"d", b"s", b"p"
HANG, DIE = object(), object()
ADDHDRS, CHGBODY, ADDRCPT, DELRCPT, CHGHDRS, QUARANTINE, CHGFROM, ADDRCPT_PAR, SETSYMLIST = (1 << n for n in range(9))
EVERYTHING = (1 << 9) - 1
NO_CONNECT, NO_HELO, NO_MAIL, NO_RCPT, NO_BODY, NO_HDRS, NO_EOH, NR_HDR, NO_UNKNOWN, NO_DATA, CAN_SKIP, RCPT_REJ = (1 << n for n in range(12))
NR_CONNECT, NR_HELO, NR_MAIL, NR_RCPT, NR_DATA, NR_UNKNOWN, NR_EOH, NR_BODY, LEADING_SPACE = (1 << n for n in range(12, 21))
NAMES = {b"C": "connect", b"H": "helo", b"M": "mail", b"R": "rcpt", b"T": "data", b"L": "header", b"N": "eoh", b"B": "body", b"E": "eom",
         b"U": "unknown", b"A": "abort", b"Q": "quit"}
SILENT = {"header": NR_HDR, "connect": NR_CONNECT, "helo": NR_HELO, "mail": NR_MAIL, "rcpt": NR_RCPT, "data": NR_DATA,
          "unknown": NR_UNKNOWN, "eoh": NR_EOH, "body": NR_BODY}


def octets(text):
    return text if isinstance(text, bytes) else text.encode()


def texts(*several):
    return b"".join(octets(s) + b"\0" for s in several)


def reply_code(text):
    return b"y" + texts(text)


def add_header(name, value):
    return b"h" + texts(name, value)


def insert_header(index, name, value):
    return b"i" + struct.pack(">I", index) + texts(name, value)


def change_header(index, name, value):
    return b"m" + struct.pack(">I", index) + texts(name, value)


def add_rcpt(address, params=None):
    return b"+" + texts(address) if params is None else b"2" + texts(address, params)


def delete_rcpt(address):
    return b"-" + texts(address)


def change_from(address):
    return b"e" + texts(address)


def replace_body(data):
    """As many packets as it takes."""
    return [b"b" + data[i:i + 65535] for i in range(0, len(data), 65535)] or [b"b"]


def quarantine(reason):
    return b"q" + texts(reason)


class Said:
    def __init__(self, name, args, macros):
        self.name, self.args, self.macros = name, args, macros

    def __repr__(self):
        return f"{self.name}{self.args}"


class Milter:
    """Listens on a port of its own, or with path= on a UNIX socket; close() ends it and all its connections."""

    def __init__(self, answers=None, actions=EVERYTHING & ~SETSYMLIST, steps=0, macros=None, path=None, name=None, version=6):
        self.answers, self.actions, self.steps, self.macros, self.version = answers or {}, actions, steps, macros or {}, version
        self.path, self.name, self.port = path, name, 0
        self.mutex, self.said, self.sockets, self.connections = threading.Lock(), [], set(), 0
        self.offered = None
        self.listen()

    def listen(self):
        if self.path:
            if os.path.exists(self.path):
                os.unlink(self.path)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", self.port))
            self.port = self.listener.getsockname()[1]
        self.listener.listen(200)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    @property
    def address(self):
        where = f"unix:{self.path}" if self.path else f"inet:127.0.0.1:{self.port}"
        return f"{self.name}={where}" if self.name else where

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.mutex:
                self.sockets.add(sock)
                self.connections += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def events(self, *names):
        with self.mutex:
            return [s for s in self.said if not names or s.name in names]

    def forget(self):
        with self.mutex:
            self.said.clear()
            self.connections = 0

    # --- one connection ---

    @staticmethod
    def exactly(sock, n):
        data = b""
        while len(data) < n:
            more = sock.recv(n - len(data))
            if not more:
                raise ConnectionError("end")
            data += more
        return data

    @staticmethod
    def send(sock, packet):
        sock.sendall(struct.pack(">I", len(packet)) + packet)

    def serve(self, sock):
        macros = {}
        try:
            while True:
                size = struct.unpack(">I", self.exactly(sock, 4))[0]
                packet = self.exactly(sock, size)
                if not self.packet(sock, packet[:1], packet[1:], macros):
                    break
        except OSError:
            pass
        with self.mutex:
            self.sockets.discard(sock)
        sock.close()

    def negotiate(self, sock, data):
        self.offered = struct.unpack(">III", data[:12])
        lists = b"".join(struct.pack(">I", stage) + texts(names) for stage, names in self.macros.items())
        self.send(sock, b"O" + struct.pack(">III", self.version, self.actions, self.steps) + lists)

    def packet(self, sock, kind, data, macros):
        """False: the connection is to end."""
        if kind == b"O":
            self.negotiate(sock, data)
            return True
        if kind == b"D":
            words = data[1:].split(b"\0")[:-1]
            macros.update(zip(words[::2], words[1::2]))
            return True
        name = NAMES[kind]
        args = [data] if name in ("connect", "body", "eom") else data.split(b"\0")[:-1]
        said = Said(name, args, dict(macros))
        with self.mutex:
            self.said.append(said)
        if name == "quit":
            return False
        answer = self.answers.get(name, CONTINUE)
        if callable(answer):
            answer = answer(said)
        return self.answer(sock, name, answer)

    def answer(self, sock, name, answer):
        for one in answer if isinstance(answer, list) else [answer]:
            if one is DIE:
                return False
            if one is HANG:
                time.sleep(3600)
            if name != "abort" and not self.steps & SILENT.get(name, 0):
                self.send(sock, one)
        return True

    def close(self):
        """As if it had been killed: nobody answers, its connections end."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.mutex:
            left, self.sockets = list(self.sockets), set()
        for sock in left:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
