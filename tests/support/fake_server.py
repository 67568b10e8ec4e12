# SPDX-License-Identifier: Apache-2.0
"""fake_server.py - a server that does what a test tells it to, well or badly.

A test gives a function for each "METHOD /path"; it gets a Peer, whose socket it may use as it likes.
What is not given answers 404, and GET /health 200. A proxy's requests (absolute addresses, CONNECT)
are taken as if they were the server's own.
"""
import base64
import hashlib
import json
import socket
import ssl
import struct
import threading

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
REASONS = {200: "OK", 204: "No Content", 302: "Found", 400: "Bad Request", 401: "Unauthorized",
           403: "Forbidden", 404: "Not Found", 426: "Upgrade Required",
           500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable"}


class Gone(Exception):
    """The client has closed the connection."""


class Peer:
    """One connection and the request that it began with."""

    def __init__(self, sock):
        self.sock = sock
        self.kept = b""
        self.was_connect = False
        self.read_head()

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone()
        self.kept += data

    def take(self, n):
        while len(self.kept) < n:
            self.more()
        data, self.kept = self.kept[:n], self.kept[n:]
        return data

    def read_head(self):
        while b"\r\n\r\n" not in self.kept:
            self.more()
        head, self.kept = self.kept.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        self.method, target, _ = lines[0].split(" ")
        self.headers = {k.lower(): v.strip() for k, v in (x.split(":", 1) for x in lines[1:])}
        if self.method == "CONNECT":
            self.was_connect = True
            self.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            self.read_head()
            return
        if target.startswith("http://"):
            target = "/" + target.split("/", 3)[3]
        self.path = target

    def body(self):
        return json.loads(self.take(int(self.headers.get("content-length", 0))))

    def raw(self, data):
        self.sock.sendall(data)

    def reply(self, status, body=b"", reason=None, headers=()):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        if self.method == "POST":
            self.take(int(self.headers.get("content-length", 0)))
        head = [f"HTTP/1.1 {status} {REASONS.get(status, '') if reason is None else reason}",
                f"Content-Length: {len(body)}", "Connection: close", *headers]
        self.raw("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    # ---- Event streams

    def stream(self):
        self.order = self.body()
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")

    def event(self, **ev):
        self.raw(b"data: " + json.dumps(ev).encode() + b"\n\n")

    # ---- WebSockets

    def accept(self, extra="", accept=None):
        key = self.headers["sec-websocket-key"]
        good = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        self.raw((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                  f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept or good}\r\n{extra}\r\n")
                 .encode())

    def frame(self, payload, opcode=1, fin=True, mask=False):
        if isinstance(payload, str):
            payload = payload.encode()
        n = len(payload)
        bit = 0x80 if mask else 0
        head = bytes([(0x80 if fin else 0) | opcode])
        if n < 126:
            head += bytes([bit | n])
        elif n < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", n)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", n)
        self.raw(head + (b"\0\0\0\0" if mask else b"") + payload)

    def send(self, **message):
        self.frame(json.dumps(message))

    def close(self, code=1000):
        self.frame(struct.pack(">H", code), 8)

    def receive(self):
        """Opcode and payload of the next message."""
        whole, first = b"", None
        while True:
            a, b = self.take(2)
            n = b & 0x7f
            n = struct.unpack(">H", self.take(2))[0] if n == 126 else \
                struct.unpack(">Q", self.take(8))[0] if n == 127 else n
            assert b & 0x80, "a client masks its frames"
            mask = self.take(4)
            data = self.take(n)
            whole += bytes(x ^ mask[i & 3] for i, x in enumerate(data)) if n < 65536 else \
                (int.from_bytes(data, "big") ^
                 int.from_bytes((mask * (n // 4 + 1))[:n], "big")).to_bytes(n, "big")
            first = first if first is not None else a & 0xf
            if a & 0x80:
                return first, whole

    def message(self):
        """The next JSON message; Gone when the client closes instead."""
        while True:
            opcode, data = self.receive()
            if opcode == 1:
                return json.loads(data)
            if opcode == 8:
                raise Gone()


class FakeServer:
    def __init__(self, routes, certificate=None):
        self.routes = routes
        self.requests = []  # "METHOD /path" of each, in order
        self.peers = []
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if certificate else 'http'}://localhost:{self.port}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[sock], daemon=True).start()

    def serve(self, sock):
        try:
            sock.settimeout(60)
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            with sock:
                peer = Peer(sock)
                name = f"{peer.method} {peer.path}"
                self.requests.append(name)
                self.peers.append(peer)
                route = self.routes.get(name)
                if route is not None:
                    route(peer)
                elif name == "GET /health":
                    peer.reply(200, {"status": "ok"})
                else:
                    peer.reply(404, b"404 Not Found")
        except (Gone, OSError):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
