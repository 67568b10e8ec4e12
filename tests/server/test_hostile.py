# SPDX-License-Identifier: Apache-2.0
"""test_hostile.py - clients that mean harm, or that just vanish."""
import json
import os
import random
import socket
import threading
import time
import unittest

from harness import KEY, Server, ServerCase, alive, until

HEAD = f"POST /execute HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"


class Hostile(ServerCase):
    def tearDown(self):
        """Whatever happened: it still works, and nothing is held up."""
        status, j = self.s.run("echo fine")
        self.assertEqual((status, j.get("stdout")), (200, "fine"), j)
        until(lambda: self.s.metric("isol8_executing") == 0, what="the end of all executions")

    def raw(self, data=b"", timeout=20):
        c = socket.create_connection(("127.0.0.1", self.s.port), timeout)
        if data:
            c.sendall(data if isinstance(data, bytes) else data.encode())
        return c

    @staticmethod
    def answer(c):
        got = b""
        try:
            while part := c.recv(65536):
                got += part
        except (ConnectionResetError, TimeoutError):
            pass
        c.close()
        return got

    def test_large_bodies_are_refused_early(self):
        for length in [1 << 30, 1 << 62, (128 << 20) + 1]:
            c = self.raw(HEAD + f"Content-Length: {length}\r\n\r\n")
            got = self.answer(c)
            self.assertTrue(got.startswith(b"HTTP/1.1 413 "), got)
            self.assertIn(b'"field":"body"', got)
        c = self.raw(HEAD + f"Content-Length: {1 << 30}\r\nExpect: 100-continue\r\n\r\n")
        self.assertTrue(self.answer(c).startswith(b"HTTP/1.1 413 "))

    def test_large_bodies_without_a_key(self):
        c = self.raw("POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        self.assertTrue(self.answer(c).startswith(b"HTTP/1.1 401 "))

    def test_deep_json(self):
        for text in [b"[" * 1000000, b'{"a":' * 100000, b'{"request":' + b"[" * 2000 + b"]" * 2000 + b"}"]:
            status, j = self.s.json("POST", "/execute", text)
            self.assertEqual((status, j["field"]), (400, "body"))

    def test_wide_json(self):
        body = b'{"request":{"runtime":"bash","code":"echo 1","env":{' + b",".join(
            b'"A%d":"x"' % i for i in range(200000)) + b"}}}"
        status, _ = self.s.json("POST", "/execute", body)
        self.assertEqual(status, 400)
        body = {"runtime": "bash", "code": "ls | wc -l", "env": {f"A{i}": "x" for i in range(4000)},
                "files": {f"f{i}": "" for i in range(3000)}}
        start = time.monotonic()
        self.assertEqual(self.s.json("POST", "/execute", {"request": body})[0], 200)
        self.assertLess(time.monotonic() - start, 10)

    def test_bytes_that_are_no_http(self):
        for data in [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 100, b"GET\r\n\r\n",
                     b"GET / HTTP/9.9\r\n\r\n", b"A" * 200000, b"GET /%00%zz HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                     b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]:
            c = self.raw(data)
            c.shutdown(socket.SHUT_WR)
            got = self.answer(c)
            self.assertFalse(got.startswith(b"HTTP/1.1 2"), (data, got))
        rnd = random.Random(7)
        for _ in range(200):
            c = self.raw(HEAD.encode() + bytes(rnd.randrange(256) for _ in range(200)))
            c.shutdown(socket.SHUT_WR)
            self.answer(c)

    def test_header_injection(self):
        """Nothing of a request gets into the head of an answer."""
        evil = "x%0d%0aSet-Cookie:%20a=b"
        for method, path in [("GET", "/" + evil), ("DELETE", "/session/" + evil),
                             ("GET", f"/file?sessionId={evil}&path={evil}")]:
            c = self.raw(f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {KEY}\r\nConnection: close\r\n\r\n")
            head = self.answer(c).split(b"\r\n\r\n")[0]
            self.assertNotIn(b"Set-Cookie", head)
        status, headers, data = self.s.call("POST", "/execute", {
            "request": {"runtime": "x\r\nSet-Cookie: a=b", "code": "1"}})
        self.assertEqual(status, 400)
        self.assertNotIn("Set-Cookie", headers)
        self.assertNotIn(b"\\r", data)
        _, _, events = self.s.events(r"printf 'x\n\ndata: {\"type\":\"exit\"}\n\n'")
        self.assertEqual({e["type"] for e in events[:-1]}, {"stdout"})
        self.assertEqual(events[-1]["type"], "exit")

    def test_vanishing(self):
        """In every phase, and the program is gone with its client."""
        body = json.dumps({"request": {"runtime": "bash", "cmd": "exec -a vanish-7 sleep 777 vanish-8"}})
        body = json.dumps({"request": {"runtime": "bash", "cmd": "sleep 777"}})
        request = HEAD + f"Content-Length: {len(body)}\r\n\r\n" + body
        for n in [1, 30, len(HEAD), len(HEAD) + 10, len(request) - 10]:
            self.raw(request[:n]).close()
        for path in ["/execute", "/execute/stream"]:
            for pause in [0, 0.001, 0.005, 0.02, 0.1, 0.5]:
                gone = self.s.metric("isol8_clients_gone_total")
                c = self.raw(request.replace("/execute", path, 1))
                time.sleep(pause)
                c.close()
                until(lambda g=gone: self.s.metric("isol8_clients_gone_total") > g, 10, "notice")
                until(lambda: self.s.metric("isol8_executing") == 0, 10, "the program's end")
        self.assertFalse(alive("777"))

    def test_vanishing_while_an_answer_comes(self):
        body = json.dumps({"request": {"runtime": "bash", "cmd": "yes | head -c 900000"},
                           "options": {"maxOutputSize": 1000000}})
        for path in ["/execute", "/execute/stream"]:
            for _ in range(5):
                c = self.raw(HEAD.replace("/execute", path, 1) + f"Content-Length: {len(body)}\r\n\r\n" + body)
                c.recv(100)
                c.close()

    def test_vanishing_with_files(self):
        self.s.run("head -c 30000000 /dev/zero >big", session="v")
        for _ in range(3):
            c = self.raw(f"POST /file?sessionId=v&path=up HTTP/1.1\r\nHost: x\r\nAuthorization: {KEY}\r\n"
                         "Content-Type: application/octet-stream\r\nContent-Length: 10000000\r\n\r\n" + "x" * 200000)
            c.close()
            c = self.raw(f"GET /file?sessionId=v&path=big HTTP/1.1\r\nHost: x\r\nAuthorization: {KEY}\r\n"
                         "Accept: application/octet-stream\r\n\r\n")
            c.recv(1000)
            c.close()
        self.assertEqual(self.s.run("echo 1", session="v")[1]["stdout"], "1")
        self.s.json("DELETE", "/session/v")

    def test_trickling_bodies_hold_nobody_up(self):
        slow = []
        for i in range(60):
            slow.append(self.raw(HEAD + "Content-Length: 1000\r\n\r\n{"))
            slow.append(self.raw("GET /health HT"))
        start = time.monotonic()
        for _ in range(5):
            self.assertEqual(self.s.run("echo 1")[0], 200)
        self.assertLess(time.monotonic() - start, 5)
        for c in slow:
            c.close()

    def test_slow_readers(self):
        """Those who do not read are waited for, and nobody else is."""
        body = json.dumps({"request": {"runtime": "bash", "cmd": "yes | head -c 100000000"},
                           "options": {"maxOutputSize": 50000000}})
        slow = []
        for _ in range(8):
            slow.append(self.raw(HEAD.replace("/execute", "/execute/stream", 1) +
                                 f"Content-Length: {len(body)}\r\n\r\n" + body))
        time.sleep(0.5)
        start = time.monotonic()
        for _ in range(5):
            self.assertEqual(self.s.run("echo 1")[0], 200)
        self.assertLess(time.monotonic() - start, 10)
        for c in slow:
            c.close()


class Guessing(ServerCase):
    key = "short"

    def test_brute_force(self):
        c = self.s.connect()
        answers = [self.s.call("GET", "/sessions", key=f"guess-{i}", connection=c)[0] for i in range(200)]
        self.assertEqual(answers[:20], [403] * 20)
        self.assertEqual(answers[-1], 429)
        self.assertLess(answers.count(403), 45)
        status, headers, data = self.s.call("GET", "/sessions", key="short")
        self.assertEqual((status, headers["Retry-After"]), (429, "1"))
        self.assertEqual(json.loads(data), {"error": "Too many failed attempts"})
        self.assertEqual(self.s.call("GET", "/health", key=None)[0], 200)
        until(lambda: self.s.call("GET", "/sessions", key="short")[0] == 200, 10)
        self.assertNotIn("guess-", self.s.said())


class GuessingAStrongKey(ServerCase):
    def test_the_owner_gets_in(self):
        answers = [self.s.call("GET", "/sessions", key=f"guess-{i}")[0] for i in range(60)]
        self.assertEqual(answers[-1], 429)
        self.assertEqual(self.s.call("GET", "/sessions")[0], 200)


class Slowloris(unittest.TestCase):
    def test_late_heads_and_bodies_are_cut(self):
        """A byte now and then does not extend the time. Takes as long as the deadline: 30 s."""
        s = Server().wait()
        try:
            heads = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(20)]
            bodies = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(20)]
            for c in heads:
                c.sendall(b"GET /health HTTP/1.1\r\n")
            for c in bodies:
                c.sendall((HEAD + "Content-Length: 100000\r\n\r\n").encode())
            end = time.monotonic() + 40
            while time.monotonic() < end and s.metric("isol8_connections") > 2:
                for c in heads + bodies:
                    try:
                        c.sendall(b"x" if c in bodies else b"X: y\r\n")
                    except OSError:
                        pass
                time.sleep(1)
            # Its own, and the one before, which is counted until another one comes.
            self.assertLessEqual(s.metric("isol8_connections"), 2)
            for c in heads + bodies:
                c.close()
        finally:
            self.assertEqual(s.stop(), 0)


if __name__ == "__main__":
    unittest.main()
