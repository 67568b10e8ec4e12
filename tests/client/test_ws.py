# SPDX-License-Identifier: Apache-2.0
"""test_ws.py - run --host over a WebSocket, with servers that behave and servers that do not."""
import json
import os
import signal
import time
import unittest

from harness import KEY, LOST, ClientCase, Gone


def answer(*events, code="0"):
    """A route that runs nothing, says these events and ends well."""
    def route(peer):
        peer.accept()
        peer.order = peer.message()
        for ev in events:
            peer.send(**ev)
        peer.send(type="exit", data=code, phase="code")
        peer.close()
        peer.receive()
    return route


class Good(ClientCase):
    def test_order(self):
        os.mkdir(f"{self.folder}/files")
        with open(f"{self.folder}/files/a.txt", "w", encoding="utf-8") as f:
            f.write("grüße\n")
        with open(f"{self.folder}/files/b.bin", "wb") as f:
            f.write(b"\xff\x00")
        s = self.serve({"GET /execute/ws": answer()})
        code, out, err = self.run_on(s, "-e", "print(1)", "--session-id", "mine", "--stdin", "in",
                                     "--secret", "K=v", "--files", "files", "--max-output", "5",
                                     "--setup", "true", "--install", "six", "--env", "E=1")
        self.assertEqual((code, out, err), (0, b"", b"[Run] Session ID: mine\n"))
        peer = s.peers[-1]
        self.assertEqual(peer.headers["authorization"], f"Bearer {KEY}")
        self.assertEqual(peer.headers["host"], f"localhost:{s.port}")
        self.assertEqual(list(peer.order), ["type", "request", "options", "sessionId"])
        self.assertEqual(peer.order["sessionId"], "mine")
        self.assertEqual(list(peer.order["request"]),
                         ["runtime", "timeoutMs", "code", "stdin", "installPackages",
                          "setupScript", "files", "env"])
        self.assertEqual(peer.order["request"]["files"],
                         {"/sandbox/a.txt": "grüße\n",
                          "/sandbox/b.bin": {"type": "Buffer", "data": [255, 0]}})
        self.assertEqual(list(peer.order["options"]),
                         ["mode", "network", "networkFilter", "memoryLimit", "cpuLimit",
                          "timeoutMs", "maxOutputSize", "debug", "persist", "remoteCode",
                          "secrets"])
        self.assertEqual(peer.order["options"]["mode"], "persistent")
        # A session of one's own name stays.
        self.assertEqual(s.requests, ["GET /health", "GET /execute/ws"])

    def test_streams_and_codes(self):
        s = [{"type": "stdout", "data": "a\x00b\x1b[0m", "phase": "code"},
             {"type": "stderr", "data": "ü", "phase": "code"}]
        self.assertEqual(self.over_ws(answer(*s, code="7")), (7, b"a\0b\x1b[0m", "ü".encode()))
        error = {"type": "error", "data": "no\x1b[2J\x9b2J good"}
        self.assertEqual(self.over_ws(answer(error)),
                         (1, b"", b"[ERR] no\\x1b[2J\\x9b2J good\n"))
        self.assertEqual(self.over_ws(answer(error, code="9"))[0], 9)

    def test_setup_phase(self):
        setup = [{"type": "stdout", "data": "s\n", "phase": "setup"},
                 {"type": "exit", "data": "0", "phase": "setup"},
                 {"type": "stdout", "data": "c\n", "phase": "code"}]
        self.assertEqual(self.over_ws(answer(*setup), "--cmd", "x", "--out", "o"),
                         (0, b"s\nc\n", b"[Run] Output written to o\n"))
        with open(f"{self.folder}/o", "rb") as f:
            self.assertEqual(f.read(), b"c\n")

        def fails(peer):
            peer.accept()
            peer.message()
            peer.send(type="exit", data="3", phase="setup")
            peer.close()
        self.assertEqual(self.over_ws(fails), (3, b"", b""))

    def test_fragments_pings_and_strangers(self):
        def route(peer):
            peer.accept()
            peer.message()
            peer.frame('{"type":"std', fin=False)
            peer.frame(b"hello", opcode=9)
            peer.frame('out","data":"x"}', opcode=0)
            for text in ("nonsense", "[]", "17", '{"type":3}', '{"type":"new","data":"n"}',
                         '{"type":"stdout","data":["x"]}', "{}"):
                peer.frame(text)
            peer.frame(b"\xff\xfe", opcode=2)
            self.assertEqual(peer.receive(), (10, b"hello"))
            peer.send(type="exit", data="0")
            peer.close()
        self.assertEqual(self.over_ws(route), (0, b"x", b""))

    def test_own_session_is_deleted(self):
        deleted = lambda peer: peer.reply(200, {"ok": True})  # noqa: E731
        s = self.serve({"GET /execute/ws": answer()})
        s.routes = type("Any", (dict,), {"get": lambda d, k: deleted if k.startswith("DELETE ")
                                         else dict.get(d, k)})(s.routes)
        code, _, err = self.run_on(s, "--cmd", "x", "--persistent")
        self.assertEqual(code, 0)
        name = err.decode().removeprefix("[Run] Session ID: ").strip()
        self.assertRegex(name, r"^cli-[0-9]{13}$")
        self.assertEqual(s.requests[-1], f"DELETE /session/{name}")

    def test_slow_reader_holds_the_server_up(self):
        text = json.dumps({"type": "stdout", "data": "x" * 100000, "phase": "code"})
        sent = []

        def route(peer):
            peer.accept()
            peer.message()
            for i in range(800):  # 80 MB
                peer.frame(text)
                sent.append(i)
            peer.send(type="exit", data="0")
            peer.close()
        s = self.serve({"GET /execute/ws": route})
        p = self.start("run", "--host", s.url, "--key", KEY, "--cmd", "x")
        time.sleep(3)
        self.assertLess(len(sent), 300)
        out, err = p.communicate(timeout=60)
        self.assertEqual((p.returncode, len(out), err), (0, 80000000, b""))


class Signals(ClientCase):
    def started(self, route):
        s = self.serve({"GET /execute/ws": route})
        p = self.start("run", "--host", s.url, "--key", KEY, "--cmd", "x")
        self.assertEqual(p.stdout.read(2), b"go")
        return p

    def test_goes_to_the_program(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            got = []

            def route(peer):
                peer.accept()
                peer.message()
                peer.send(type="stdout", data="go")
                got.append(peer.message())  # noqa: B023
                peer.send(type="stdout", data="bye")
                peer.send(type="exit", data="0")
                peer.close()
            p = self.started(route)
            p.send_signal(number)
            self.assertEqual(p.communicate(timeout=20), (b"bye", b""))
            self.assertEqual(p.returncode, 128 + number)
            self.assertEqual(got, [{"type": "signal", "signal": number.name}])

    def stubborn(self, peer):
        peer.accept()
        peer.message()
        peer.send(type="stdout", data="go")
        try:
            while True:
                peer.message()
        except (Gone, OSError):
            self.left = time.monotonic()

    def test_a_second_one_ends_the_patience(self):
        p = self.started(self.stubborn)
        p.send_signal(signal.SIGINT)
        time.sleep(0.5)
        self.assertIsNone(p.poll())
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=3)
        self.assertEqual(p.returncode, 130)

    def test_patience_is_bounded(self):
        p = self.started(self.stubborn)
        began = time.monotonic()
        p.send_signal(signal.SIGTERM)
        p.communicate(timeout=20)
        self.assertEqual(p.returncode, 143)
        self.assertGreater(time.monotonic() - began, 4)
        self.assertLess(time.monotonic() - began, 9)


class Refused(ClientCase):
    def sse(self, peer):
        peer.stream()
        peer.event(type="stdout", data="sse")
        peer.event(type="exit", data="0")

    def test_another_way(self):
        for status in (404, 400, 426, 501, 503, 500, 302):
            s = self.serve({"GET /execute/ws": lambda p: p.reply(status),  # noqa: B023
                            "POST /execute/stream": self.sse})
            self.assertEqual(self.run_on(s, "--session-id", "i", "--cmd", "x")[:2], (0, b"sse"))
            self.assertEqual(s.peers[-1].order["sessionId"], "i")
            self.assertNotIn("type", s.peers[-1].order)

    def test_key_is_final(self):
        for status in (401, 403):
            s = self.serve({"GET /execute/ws":
                            lambda p: p.reply(status, {"error": "No\x1b]0;x\x07 way"})})  # noqa: B023
            self.assertEqual(self.run_on(s), (1, b"", b"[ERR] Stream failed: No\\x1b]0;x\\x07 way\n"))
            self.assertEqual(s.requests, ["GET /health", "GET /execute/ws"])
        s = self.serve({"GET /execute/ws": lambda p: p.reply(403)})
        self.assertEqual(self.run_on(s)[2], b"[ERR] Stream failed: Forbidden\n")

    def test_too_large_for_a_message(self):
        with open(f"{self.folder}/big.sh", "w", encoding="utf-8") as f:
            f.write("#" * (17 << 20))
        s = self.serve({"GET /execute/ws": answer(), "POST /execute/stream": self.sse})
        self.assertEqual(self.run_on(s, "big.sh")[:2], (0, b"sse"))
        self.assertNotIn("GET /execute/ws", s.requests)

    def test_too_large_for_this_server(self):
        def route(peer):
            peer.accept()
            peer.message()
            peer.close(1009)
        s = self.serve({"GET /execute/ws": route, "POST /execute/stream": self.sse})
        self.assertEqual(self.run_on(s)[:2], (0, b"sse"))

    def test_false_handshakes(self):
        for extra, accept in (("", "AAAA"), ("Sec-WebSocket-Extensions: permessage-deflate\r\n", None),
                              ("Sec-WebSocket-Protocol: x\r\n", None)):
            code, _, err = self.over_ws(lambda p: p.accept(extra, accept))  # noqa: B023
            self.assertEqual((code, err),
                             (1, b"[ERR] the server's WebSocket handshake is not valid\n"))

    def test_no_http(self):
        def endless(peer):
            peer.raw(b"HTTP/1.1 200 OK\r\n")
            while True:
                peer.raw(b"X-More: " + b"y" * 1000 + b"\r\n")
        self.assertEqual(self.over_ws(endless)[2],
                         b"[ERR] the head of the server's answer is too large\n")
        self.assertEqual(self.over_ws(lambda p: p.raw(b"SSH-2.0-x\r\n\r\n"))[2],
                         b"[ERR] the server does not speak HTTP\n")
        self.assertEqual(self.over_ws(lambda p: None)[2], b"[ERR] The connection to the server was lost\n")


class Bad(ClientCase):
    def after_order(self, *sent):
        def route(peer):
            peer.accept()
            peer.message()
            for f in sent:
                f(peer)
        return self.over_ws(route)

    def test_lost(self):
        hello = lambda p: p.send(type="stdout", data="half")  # noqa: E731
        self.assertEqual(self.after_order(hello), (1, b"half", LOST))
        self.assertEqual(self.after_order(hello, lambda p: p.close()), (1, b"half", LOST))
        self.assertEqual(self.after_order(hello, lambda p: p.raw(b"\x81\x7e\x10")), (1, b"half", LOST))
        self.assertEqual(self.after_order(lambda p: p.send(type="exit", data="0", phase="setup")),
                         (1, b"", LOST))

    def test_frames_against_the_protocol(self):
        for raw in (b"\xf1\x00", b"\x83\x00", b"\x09\x00", b"\x80\x00", b"\x81\x02\xff\xfe",
                    b"\x81\xff" + b"\xff" * 8):
            self.assertEqual(self.after_order(lambda p: p.raw(raw)), (1, b"", LOST))  # noqa: B023

    def test_huge_event(self):
        code, out, err = self.after_order(lambda p: p.send(type="stdout", data="x" * (5 << 20)))
        self.assertEqual((code, out), (1, b""))
        self.assertEqual(err, b"[ERR] an event of the server's is larger than 4194304 bytes\n")

    def test_exit_codes_that_are_none(self):
        for data in ("banana", "", "-1", "256", "1e3", "0\x000", 7, None, {}):
            code, _, err = self.after_order(lambda p: p.send(type="exit", data=data),  # noqa: B023
                                            lambda p: p.close())
            self.assertEqual(code, 1, data)
            self.assertIn(b"[ERR] The server sent an exit code that is none: ", err)

    def test_ping_flood(self):
        def route(peer):
            peer.accept()
            peer.message()
            peer.sock.settimeout(20)
            for _ in range(200):
                peer.raw(b"\x89\x7d" + b"p" * 125 + b"\x89\x00" * 100)
                while len(peer.kept) < 131 + 6 * 100:
                    peer.more()
                peer.kept = b""
            peer.send(type="exit", data="0")
            peer.close()
        self.assertEqual(self.over_ws(route), (0, b"", b""))

    def test_does_not_close(self):
        began = time.monotonic()
        self.assertEqual(self.after_order(lambda p: p.send(type="exit", data="4"),
                                          lambda p: time.sleep(20)), (4, b"", b""))
        self.assertLess(time.monotonic() - began, 10)


if __name__ == "__main__":
    unittest.main()
