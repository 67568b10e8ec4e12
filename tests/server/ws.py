# SPDX-License-Identifier: Apache-2.0
"""ws.py - a WebSocket client that can also do everything wrong (RFC 6455)."""
import base64
import json
import os
import socket
import struct

from harness import KEY

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    """The upgrade was answered otherwise; .status and .body say how."""

    def __init__(self, status, head, body):
        super().__init__(f"{status} {body!r}")
        self.status, self.head, self.body = status, head, body


def frame(opcode, data=b"", fin=True, mask=True, rsv=0, length=None):
    """The bytes of a frame; @length: what it claims to be long."""
    n = len(data) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    if not mask:
        return head + data
    key = os.urandom(4)
    repeated = (key * (len(data) // 4 + 1))[:len(data)]
    masked = int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")
    return head + key + masked.to_bytes(len(data), "little")


class WebSocket:
    def __init__(self, port, key=KEY, headers=None, early=b"", timeout=60, wrap=None):
        self.s = socket.create_connection(("127.0.0.1", port), timeout)
        if wrap is not None:
            self.s = wrap(self.s)
        head = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode()}
        if key is not None:
            head["Authorization"] = f"Bearer {key}"
        head.update(headers or {})
        lines = [f"{k}: {v}" for k, v in head.items() if v is not None]
        self.s.sendall(("GET /execute/ws HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode() + early)
        self.buffer = b""
        self.head = self.until(b"\r\n\r\n").decode()
        self.status = int(self.head.split(" ", 2)[1])
        self.pings = 0
        if self.status != 101:
            self.s.settimeout(5)
            body = self.buffer
            length = [int(x.split(":")[1]) for x in self.head.lower().split("\r\n") if x.startswith("content-length:")]
            while length and len(body) < length[0] and (part := self.s.recv(65536)):
                body += part
            self.s.close()
            raise Refused(self.status, self.head, body)

    def until(self, mark):
        while mark not in self.buffer:
            part = self.s.recv(65536)
            if not part:
                raise EOFError(self.buffer)
            self.buffer += part
        got, self.buffer = self.buffer.split(mark, 1)
        return got

    def exactly(self, n):
        parts, have = [self.buffer], len(self.buffer)
        while have < n:
            part = self.s.recv(1 << 20)
            if not part:
                raise EOFError
            parts.append(part)
            have += len(part)
        everything = b"".join(parts)
        self.buffer = everything[n:]
        return everything[:n]

    def read(self):
        """A frame: opcode and data."""
        a, b = self.exactly(2)
        assert a & 0x70 == 0 and b & 0x80 == 0, "a server must not mask, nor set reserved bits"
        n = b & 0x7f
        if n == 126:
            n, = struct.unpack(">H", self.exactly(2))
        elif n == 127:
            n, = struct.unpack(">Q", self.exactly(8))
        return a & 15, self.exactly(n)

    def send(self, opcode, data=b"", **more):
        self.s.sendall(frame(opcode, data, **more))

    def say(self, **message):
        self.send(TEXT, json.dumps(message).encode())

    def execute(self, code, options=None, session=None, stdin=False, runtime="bash", **request):
        message = {"type": "execute", "request": {"runtime": runtime, "code": code, **request}}
        if options is not None:
            message["options"] = options
        if session is not None:
            message["sessionId"] = session
        if stdin:
            message["openStdin"] = True
        self.say(**message)

    def event(self):
        """The next event; a close is (code, reason). Pings are answered."""
        while True:
            opcode, data = self.read()
            if opcode == PING:
                self.pings += 1
                self.send(PONG, data)
            elif opcode == TEXT:
                return json.loads(data)
            elif opcode == CLOSE:
                code = struct.unpack(">H", data[:2])[0] if data else None
                return code, data[2:].decode()

    def rest(self):
        """All events until the close, and the close, which is answered."""
        events = []
        while isinstance(e := self.event(), dict):
            events.append(e)
        try:
            self.send(CLOSE, struct.pack(">H", 1000))
            self.s.settimeout(5)
            while self.s.recv(65536):
                pass
        except OSError:
            pass
        self.s.close()
        return events, e

    def closed(self):
        """How the server ends it: the code of its close (None: it has none), or "gone"."""
        try:
            return self.rest()[1][0]
        except (EOFError, ConnectionResetError, BrokenPipeError):
            return "gone"
        finally:
            self.s.close()


def text_of(events, stream="stdout"):
    return "".join(e["data"] for e in events if e["type"] == stream)
