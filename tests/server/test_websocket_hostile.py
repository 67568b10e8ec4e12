# SPDX-License-Identifier: Apache-2.0
"""test_websocket_hostile.py - WebSocket clients that mean harm, or that just vanish."""
import json
import os
import random
import socket
import struct
import time
import unittest

from harness import KEY, Server, ServerCase, alive, until
from ws import BINARY, CLOSE, PING, PONG, TEXT, Refused, WebSocket, frame, text_of

EXECUTE = json.dumps({"type": "execute", "request": {"runtime": "bash", "code": "echo 1"}}).encode()


class Hostile(ServerCase):
    config = {"maxConcurrent": 8, "server": {"maxMessageSize": 1 << 20, "max": {"outputSize": 0}}}

    def tearDown(self):
        """Whatever happened: it still works, and nothing is held up."""
        w = self.open()
        w.execute("echo fine")
        self.assertEqual(text_of(w.rest()[0]), "fine\n")
        until(lambda: self.s.metric("isol8_executing") == 0, what="the end of all executions")

    def open(self, **more):
        return WebSocket(self.s.port, **more)

    def rss(self):
        with open(f"/proc/{self.s.process.pid}/status", encoding="ascii") as f:
            return [int(line.split()[1]) for line in f if line.startswith("VmRSS")][0]

    def ends(self, code, *frames):
        w = self.open(timeout=20)
        try:
            for f in frames:
                w.s.sendall(f)
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.assertIn(w.closed(), code if isinstance(code, tuple) else (code,), frames[0][:20])

    def test_frames_that_break_the_protocol(self):
        """RFC 6455 section 7.4.1: 1002 protocol error, 1003 type, 1007 not UTF-8, 1009 too big; what
        is no frame at all is answered by a close without a code."""
        self.ends(1002, frame(TEXT, EXECUTE, mask=False))
        self.ends(1002, frame(TEXT, EXECUTE, rsv=4))
        self.ends(1002, frame(TEXT, EXECUTE, rsv=1))
        for opcode in [3, 4, 7, 11, 15]:
            self.ends(1002, frame(opcode, b"x"))
        self.ends(None, frame(PING, b"x", fin=False))
        self.ends(None, frame(PING, b"x" * 126))
        self.ends(1002, frame(0, b"x"))
        self.ends(1002, frame(TEXT, b"{", fin=False), frame(TEXT, b"}"))
        self.ends((None, 1002), frame(CLOSE, b"\x03"))
        self.ends((None, 1002), frame(CLOSE, struct.pack(">H", 1005)))
        self.ends((None, 1002), frame(CLOSE, struct.pack(">H", 999)))
        self.ends(1003, frame(BINARY, EXECUTE))
        self.ends(1003, frame(BINARY, b"", fin=False))
        for bad in [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\xc3"]:
            self.ends(1007, frame(TEXT, bad))
        self.ends(1007, frame(TEXT, b"\xc3", fin=False), frame(0, b"\xc3"))

    def test_lengths(self):
        long_form = bytes([0x81, 0x80 | 126]) + struct.pack(">H", 5) + b"\0\0\0\0hello"
        self.ends(None, long_form)
        longer_form = bytes([0x81, 0x80 | 127]) + struct.pack(">Q", 5) + b"\0\0\0\0hello"
        self.ends(None, longer_form)
        for n in [(1 << 20) + 1, 1 << 30, (1 << 63) - 1]:
            self.ends(1009, frame(TEXT, b"x" * 1000, length=n))
        self.ends(None, frame(TEXT, b"x" * 1000, length=1 << 63))
        half = b" " * (1 << 19)
        self.ends(1009, frame(TEXT, half, fin=False), frame(0, half, fin=False), frame(0, b"x"))
        self.ends(1003, frame(TEXT, half, fin=False), frame(0, half))

    def test_largest_message(self):
        w = self.open()
        code = "echo 1 #"
        message = {"type": "execute", "request": {"runtime": "bash", "code": code}}
        message["request"]["code"] += "x" * ((1 << 20) - len(json.dumps(message)))
        w.say(**message)
        self.assertEqual(text_of(w.rest()[0]), "1\n")

    def test_fragments_of_one_byte(self):
        """They are put together in one buffer; a list of them would take a hundred times as much."""
        before = self.rss()
        w = self.open()
        many = frame(0, b" ", fin=False) * 1000
        w.send(TEXT, b" ", fin=False)
        for _ in range(60):
            w.s.sendall(many)
        self.assertLess(self.rss() - before, 70 << 10)  # KiB, with what a sanitizer needs
        w.send(0, EXECUTE)
        self.assertEqual(text_of(w.rest()[0]), "1\n")

    def test_fragments_without_end(self):
        for data in [b"", b" "]:
            self.ends(1008, frame(TEXT, b"", fin=False), *[frame(0, data, fin=False) * 1000] * 70)

    def test_ping_flood(self):
        """By a client that reads the answers, and by one that does not."""
        w = self.open()
        w.execute("sleep 5")
        try:
            for _ in range(1000):
                w.s.sendall(frame(PING, b"x" * 125) * 100)
        except OSError:
            pass
        self.assertIn(w.closed(), [1008, "gone"])
        before = self.rss()
        clients = [self.open() for _ in range(20)]
        for w in clients:
            w.s.settimeout(.2)
            try:
                w.s.sendall(frame(PING, b"x" * 125) * 20000)
            except OSError:
                pass
        self.assertLess(self.rss() - before, 70 << 10)  # KiB, with what a sanitizer needs
        start = time.monotonic()
        self.assertEqual(self.s.run("echo 1")[1]["stdout"], "1")
        self.assertLess(time.monotonic() - start, 5)
        for w in clients:
            w.s.close()

    def test_pongs_nobody_asked_for(self):
        w = self.open()
        w.s.sendall(frame(PONG, b"x") * 5000)
        w.execute("echo 1")
        self.assertEqual(text_of(w.rest()[0]), "1\n")

    def test_nothing_is_said_and_a_message_does_not_end(self):
        """Slow ones hold up nobody; what closes them after a while has a unit of its own."""
        idle = [self.open() for _ in range(50)]
        for w in idle[:25]:
            w.s.sendall(frame(TEXT, EXECUTE)[:-1])
        self.assertEqual(self.s.run("echo 1")[1]["stdout"], "1")
        for w in idle:
            w.s.close()

    def test_client_that_does_not_read(self):
        """Its program is stopped by its time limit, not kept by the full socket."""
        w = self.open()
        w.execute("yes 'a long line of text' | head -c 500000000", {"maxOutputSize": 1000000000},
                  timeoutMs=2000)
        until(lambda: self.s.metric("isol8_executing") == 1, what="the execution")
        before = self.rss()
        until(lambda: self.s.metric("isol8_executing") == 0, 15, "the end at the limit")
        # Of 500 MB, with what the sanitizer keeps of freed memory.
        self.assertLess(self.rss() - before, 150 << 10)
        events, close = w.rest()
        self.assertEqual(close[0], 1000)
        self.assertEqual(events[-1]["data"], "137")

    def test_vanishing_in_every_phase(self):
        handshake = b"GET /execute/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
            b"Authorization: Bearer " + KEY.encode() + b"\r\n\r\n"
        everything = handshake + frame(TEXT, json.dumps({
            "type": "execute", "request": {"runtime": "bash", "code": "exec sleep 77.5"}}).encode())
        rnd = random.Random(5)
        for i in range(60):
            c = socket.create_connection(("127.0.0.1", self.s.port))
            c.sendall(everything[:rnd.randrange(len(everything) + 1)] if i % 3 else everything)
            if i % 2:
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            time.sleep(rnd.choice([0, 0, .001, .01, .05]))
            c.close()
        until(lambda: not alive("77.5"), what="the end of the programs")
        until(lambda: self.s.metric("isol8_connections") <= 1, what="the end of the connections")

    def test_random_bytes(self):
        rnd = random.Random(11)
        for _ in range(200):
            w = self.open()
            data = bytes(rnd.randrange(256) for _ in range(rnd.randrange(1, 300)))
            if rnd.random() < .5:
                broken = bytearray(frame(TEXT, EXECUTE) + frame(PING, b"abc"))
                for _ in range(rnd.randrange(1, 4)):
                    broken[rnd.randrange(len(broken))] = rnd.randrange(256)
                data = bytes(broken)
            w.s.sendall(data)
            w.s.close()

    def test_close_and_go_on(self):
        """What comes after a close is not looked at."""
        w = self.open()
        w.s.sendall(frame(CLOSE, struct.pack(">H", 1000)) + frame(TEXT, EXECUTE) * 100)
        self.assertEqual(w.closed(), 1000)
        until(lambda: self.s.metric("isol8_executing") == 0, 5)

    def test_http_after_the_upgrade(self):
        w = self.open()
        w.s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(w.closed(), 1002)

    def test_control_characters_in_a_wrong_type(self):
        w = self.open()
        w.say(type="\x1b[2J\r\nX-Evil: 1" + "A" * 5000)
        e = w.event()
        self.assertEqual(e["type"], "error")
        self.assertLess(len(e["data"]), 200)
        self.assertNotIn("\x1b", e["data"])

    def test_upgrade_with_a_body(self):
        for extra in [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]:
            c = socket.create_connection(("127.0.0.1", self.s.port), 10)
            c.sendall(b"GET /execute/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                      b"Authorization: Bearer " + KEY.encode() + b"\r\n" + extra)
            got = c.recv(4096)
            c.close()
            self.assertNotEqual(got, b"")

    def test_old_http(self):
        c = socket.create_connection(("127.0.0.1", self.s.port), 10)
        c.sendall(b"GET /execute/ws HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  b"Authorization: Bearer " + KEY.encode() + b"\r\n\r\n")
        self.assertFalse(c.recv(4096).startswith(b"HTTP/1.1 101"))
        c.close()


class Tls(unittest.TestCase):
    def test_over_tls(self):
        import ssl
        import subprocess
        import tempfile
        folder = tempfile.mkdtemp(prefix="isol8-srv-")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", f"{folder}/key", "-out", f"{folder}/cert", "-days", "2", "-subj", "/CN=localhost"],
                       check=True, stderr=subprocess.DEVNULL)
        s = Server({"server": {"tlsCertificate": f"{folder}/cert", "tlsKey": f"{folder}/key"}}).wait()
        context = ssl.create_default_context(cafile=f"{folder}/cert")

        def wrap(c):
            return context.wrap_socket(c, server_hostname="localhost")

        try:
            w = WebSocket(s.port, wrap=wrap)
            w.execute("cat; head -c 300000 /dev/zero | tr '\\0' y", stdin=True)
            w.say(type="stdin", data="x" * 300000, end=True)
            events, close = w.rest()
            self.assertEqual((len(text_of(events)), close[0]), (600000, 1000))
            w = WebSocket(s.port, wrap=wrap)
            w.execute("echo here; exec sleep 78.5")
            w.event()
            w.s.close()
            until(lambda: not alive("78.5"), 10, "the end of the program")
            w = WebSocket(s.port, wrap=wrap)
            w.execute("sleep 100")
            self.assertEqual(s.stop(), 0)
        finally:
            s.stop()


if __name__ == "__main__":
    unittest.main()
