# SPDX-License-Identifier: Apache-2.0
"""test_http.py - run --host over an event stream and buffered, proxies and TLS, login and sessions."""
import datetime
import json
import os
import stat
import subprocess
import time
import unittest

from harness import KEY, LOST, ClientCase

RESULT = {"stdout": "out", "stderr": "err", "exitCode": 3, "durationMs": 1, "truncated": False}


def in_an_hour(hours=1):
    t = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
    return t.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Stream(ClientCase):
    def events(self, *lines):
        def route(peer):
            peer.stream()
            for line in lines:
                peer.raw(line if isinstance(line, bytes) else line.encode())
        return self.over_sse(route)

    def test_lines(self):
        self.assertEqual(
            self.events(": keep-alive\n\n", "event: x\ndata:{}\ndata: nonsense\n",
                        'data: {"type":"stdo', 'ut","data":"a"}\r\n\n',
                        'data: {"type":"stdout","data":"b\\u0000"} \n', 'x' * (6 << 20) + "\n",
                        'data: {"type":"exit","data":"5"}'),
            (5, b"ab\0", b""))

    def test_lost(self):
        self.assertEqual(self.events('data: {"type":"stdout","data":"a"}\n'), (1, b"a", LOST))
        self.assertEqual(self.events(b""), (1, b"", b"[ERR] No response body for streaming\n"))

    def test_cut_off(self):
        def route(peer):
            peer.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\ndata: {")
        code, out, err = self.over_sse(route)
        self.assertEqual((code, out), (1, b""))
        self.assertTrue(err.startswith(b"[ERR] The connection to the server was lost: "), err)

    def test_huge_event(self):
        self.assertEqual(self.events('data: {"type":"stdout","data":"' + "x" * (5 << 20)),
                         (1, b"", b"[ERR] an event of the server's is larger than 4194304 bytes\n"))

    def test_refused(self):
        for status, body, text in ((500, {"error": "Out of\x1b[2J luck"}, b"Out of\\x1b[2J luck"),
                                   (503, b"<html>", b"Service Unavailable"),
                                   (400, {"error": 7}, b"Bad Request"),
                                   (599, b"", b"HTTP 599"),
                                   (404, b"x" * 200000, b"Not Found")):
            self.assertEqual(self.over_sse(lambda p: p.reply(status, body)),  # noqa: B023
                             (1, b"", b"[ERR] Stream failed: " + text + b"\n"))

    def test_interrupt_closes(self):
        def route(peer):
            peer.stream()
            peer.event(type="stdout", data="go")
            self.assertEqual(peer.sock.recv(1), b"")
            self.closed = True
        s = self.serve({"POST /execute/stream": route})
        p = self.start("run", "--host", s.url, "--key", KEY, "--cmd", "x")
        self.assertEqual(p.stdout.read(2), b"go")
        p.terminate()
        p.communicate(timeout=3)
        self.assertEqual(p.returncode, 143)
        time.sleep(0.2)
        self.assertTrue(self.closed)


class Buffered(ClientCase):
    def answer(self, body, *args, status=200):
        return self.buffered(lambda p: p.reply(status, body), *args)

    def test_result(self):
        self.assertEqual(self.answer(RESULT), (3, b"out\n", b"err\n"))
        more = {**RESULT, "truncated": True, "verdict": "memory", "verdictDetail": "killed\x1b",
                "networkLogs": [{"host": "a\x1b"}, 7]}
        self.assertEqual(self.answer(more), (3, b"out\n", b"err\n[WARN] Output was truncated\n"
                                                          b"isol8: killed\\x1b\n"))
        self.assertIn(b'\n\n--- Network Logs ---\n{"host":"a\\u001b"}\n7\n',
                      self.answer(more, "--log-network", "--net", "filtered")[2])
        late = {**RESULT, "exitCode": 1, "verdict": "timeout", "verdictDetail": "late"}
        self.assertEqual(self.answer(late), (137, b"out\n",
                                             b"err\n--- EXECUTION TIMED OUT ---\nisol8: late\n"))

    def test_json_and_file(self):
        text = json.dumps(RESULT).encode()
        self.assertEqual(self.answer(text + b" \n", "--json", "--out", "o"), (3, text + b"\n", b""))
        with open(f"{self.folder}/o", encoding="utf-8") as f:
            self.assertEqual(f.read(), "out")

    def test_no_results(self):
        none = b"[ERR] the server's answer is not JSON\n"
        code = b"[ERR] the server's answer has no exit code from 0 to 255\n"
        for body, text in ((b"", none), (b"<html>", none), (b'{"exitCode":0} x', none),
                           (b'{"exitCode":0,"stdout":"\x1b"}', none), (b"[]", code), (b"{}", code),
                           *((b'{"exitCode":%s}' % x, code)
                             for x in (b"256", b"-1", b"1.5", b'"0"', b"1e999", b"null"))):
            self.assertEqual(self.answer(body), (1, b"", text), body)

    def test_failures(self):
        self.assertEqual(self.answer({"error": "Unknown runtime"}, status=500),
                         (1, b"", b"[ERR] Execution failed: Unknown runtime\n"))
        self.assertEqual(self.answer(b"oops", status=500),
                         (1, b"", b"[ERR] Execution failed: Internal Server Error\n"))
        with open(f"{self.folder}/o", "w", encoding="utf-8") as f:
            f.write("kept")
        self.answer(b"oops", "--out", "o", status=500)
        with open(f"{self.folder}/o", encoding="utf-8") as f:
            self.assertEqual(f.read(), "kept")

    def test_endless(self):
        def route(peer):
            peer.take(int(peer.headers["content-length"]))
            peer.raw(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                peer.raw(b"[" * 65536)
        self.assertRegex(self.buffered(route)[2],
                         rb"^\[ERR\] the server's answer is larger than [0-9]+ bytes\n$")

        def headers(peer):
            peer.raw(b"HTTP/1.1 200 OK\r\n")
            while True:
                peer.raw(b"X-More: " + b"y" * 1000 + b"\r\n")
        self.assertEqual(self.buffered(headers)[0], 1)

    def test_cut_off(self):
        code, _, err = self.buffered(
            lambda p: p.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"))
        self.assertEqual(code, 1)
        self.assertTrue(err.startswith(b"[ERR] The connection to the server was lost: "), err)


class Connection(ClientCase):
    def test_health(self):
        for status in (503, 302, 404):
            s = self.serve({"GET /health": lambda p: p.reply(  # noqa: B023
                status, headers=["Location: http://127.0.0.1:1/"])})
            self.assertEqual(self.run_on(s), (1, b"", b"[ERR] Remote server health check failed: "
                                                      b"%d\n" % status))
            self.assertEqual(s.requests, ["GET /health"])

    def test_no_redirects(self):
        other = self.serve({})
        s = self.serve({"POST /execute": lambda p: p.reply(
            302, headers=[f"Location: {other.url}/execute"])})
        self.assertEqual(self.run_on(s, "--no-stream", "--cmd", "x")[2],
                         b"[ERR] Execution failed: Found\n")
        self.assertEqual(other.requests, [])

    def test_nobody_there(self):
        code, _, err = self.isol8("run", "--host", "http://127.0.0.1:1", "--key", KEY, "--cmd", "x")
        self.assertEqual(code, 1)
        self.assertTrue(err.startswith(b"[ERR] Cannot reach http://127.0.0.1:1: "), err)

    def test_addresses(self):
        for host in ("localhost:3000", "ftp://x", "http://", "http://a b", "http://u:p@x",
                     "http://x/?q", "http://x/#f", "http://x\r\nX: y", "https:///x"):
            code, _, err = self.isol8("run", "--host", host, "--key", KEY, "--cmd", "x")
            self.assertEqual(code, 1)
            self.assertTrue(err.startswith(b"[ERR] Invalid --host: '"), err)
        code, _, err = self.isol8("run", "--host", "http://x", "--key", "a\nb", "--cmd", "x")
        self.assertEqual(err, b"[ERR] Invalid API key: it must be printable ASCII, at most 4096 "
                              b"characters.\n")

    def test_path_below(self):
        seen = []
        s = self.serve({"GET /isol8/health": lambda p: p.reply(200),
                        "GET /isol8/execute/ws": lambda p: (seen.append(p), p.reply(401))})
        self.isol8("run", "--host", f"{s.url}/isol8/", "--key", KEY, "--cmd", "x")
        self.assertEqual(len(seen), 1)

    def test_proxy_and_warning(self):
        def route(peer):
            peer.accept()
            peer.message()
            peer.send(type="exit", data="6")
            peer.close()
        s = self.serve({"GET /execute/ws": route})
        code, _, err = self.isol8("run", "--host", "http://box.example:3000", "--key", KEY,
                                  "--cmd", "x", http_proxy=f"http://127.0.0.1:{s.port}")
        self.assertEqual((code, err), (6, b"[WARN] The API key goes to box.example:3000 "
                                          b"unencrypted: use https.\n"))
        self.assertEqual(s.requests, ["GET /health", "GET /execute/ws"])
        self.assertTrue(s.peers[1].was_connect)

    def test_tls(self):
        pem, key = f"{self.folder}/c.pem", f"{self.folder}/c.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", pem],
                       check=True, stderr=subprocess.DEVNULL)

        def route(peer):
            peer.accept()
            peer.message()
            for _ in range(50):
                peer.send(type="stdout", data="y" * 20000)
            peer.send(type="exit", data="6")
            peer.close()
        s = self.serve({"GET /execute/ws": route}, certificate=(pem, key))
        code, _, err = self.run_on(s)
        self.assertEqual(code, 1)
        self.assertIn(b"certificate", err)
        self.assertEqual(s.requests, [])
        code, out, err = self.run_on(s, SSL_CERT_FILE=pem)
        self.assertEqual((code, len(out), err), (6, 1000000, b""))
        self.assertEqual(s.requests, ["GET /health", "GET /execute/ws"])


class Keys(ClientCase):
    """--key, ISOL8_API_KEY, and what login stores."""

    def setUp(self):
        super().setUp()
        self.file = f"{self.home}/.isol8/credentials.json"
        self.token = "isol8_" + "4f" * 32
        self.expires = in_an_hour()
        self.server = self.serve({
            "POST /auth/login": self.login_route,
            "GET /sessions": lambda p: p.reply(200, {"sessions": []})})

    def login_route(self, peer):
        self.asked = peer.body()
        peer.method = "GET"  # the body was taken
        peer.reply(200, {"token": self.token, "expiresAt": self.expires, "keyId": "the-id"})

    def login(self, *args):
        return self.isol8("login", "--host", self.server.url + "/", "--key", KEY, *args, TZ="UTC")

    def key_used(self, *args, **env):
        code, _, err = self.isol8("session", "list", "--host", self.server.url, *args, **env)
        return self.server.peers[-1].headers["authorization"] if code == 0 else err.decode()

    NONE = "[ERR] API key required. Use --key, ISOL8_API_KEY env var, or `isol8 login`.\n"

    def test_login(self):
        code, out, err = self.login()
        shown = self.expires[:19].replace("T", " ")
        self.assertEqual((code, err.decode()), (0, "Authenticated successfully\n"))
        self.assertEqual(out.decode(), f"  Host:    {self.server.url}\n  Expires: {shown}\n"
                                       "  Stored:  ~/.isol8/credentials.json\n")
        self.assertRegex(self.asked["name"], r"^cli-login-20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(list(self.asked), ["name"])
        with open(self.file, encoding="utf-8") as f:
            self.assertEqual(f.read(),
                             json.dumps({"host": self.server.url, "token": self.token,
                                         "expiresAt": self.expires, "keyId": "the-id"},
                                        indent=2) + "\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(f"{self.home}/.isol8").st_mode), 0o700)
        self.login("--name", "n\"", "--ttl", "5")
        self.assertEqual(self.asked, {"name": "n\"", "ttlMs": 5})
        for ttl in ("0", "x", "-1", "1.5"):
            self.assertEqual(self.login("--ttl", ttl)[0], 1)

    def test_priority(self):
        self.assertEqual(self.key_used(), self.NONE)
        self.login()
        self.assertEqual(self.key_used(), f"Bearer {self.token}")
        self.assertEqual(self.key_used(ISOL8_API_KEY="env"), "Bearer env")
        self.assertEqual(self.key_used("--key", "flag", ISOL8_API_KEY="env"), "Bearer flag")
        self.assertEqual(self.key_used(ISOL8_API_KEY=""), f"Bearer {self.token}")
        self.assertEqual(self.isol8("session", "list", "--host", "http://localhost:1")[2].decode(),
                         self.NONE)
        self.expires = in_an_hour(-1)
        self.login()
        self.assertEqual(self.key_used(), "[WARN] Stored credentials have expired. Run "
                                          "`isol8 login` to re-authenticate.\n" + self.NONE)

    def test_stored_files(self):
        self.login()
        os.chmod(self.file, 0o644)
        self.assertEqual(self.key_used(), f"Bearer {self.token}")
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        for text in ("", "{", "[]", '{"host":7}'):
            with open(self.file, "w", encoding="utf-8") as f:
                f.write(text)
            self.assertEqual(self.key_used(), self.NONE)
        # A link is neither read nor written through.
        os.unlink(self.file)
        victim = f"{self.folder}/victim"
        with open(victim, "w", encoding="utf-8") as f:
            f.write("mine")
        os.symlink(victim, self.file)
        self.assertEqual(self.key_used(), self.NONE)
        self.login()
        with open(victim, encoding="utf-8") as f:
            self.assertEqual(f.read(), "mine")
        self.assertFalse(os.path.islink(self.file))

    def test_logout(self):
        self.assertEqual(self.isol8("logout"), (0, b"[INFO] No stored credentials found.\n", b""))
        self.login()
        self.assertEqual(self.isol8("logout"),
                         (0, b"[OK] Credentials removed from ~/.isol8/credentials.json\n", b""))
        self.assertFalse(os.path.exists(self.file))
        self.assertEqual(self.isol8("logout")[0], 0)

    def refused(self, route):
        s = self.serve({"POST /auth/login": route})
        code, out, err = self.isol8("login", "--host", s.url, "--key", KEY)
        self.assertEqual((code, out), (1, b""))
        self.assertFalse(os.path.exists(self.file))
        return err.decode()

    def test_refusals(self):
        self.assertEqual(self.refused(lambda p: p.reply(403, {"error": "Invalid\x1b key"})),
                         "[ERR] Authentication failed: Invalid\\x1b key\n")
        self.assertEqual(self.refused(lambda p: p.reply(401)),
                         "[ERR] Authentication failed: Unauthorized\n")
        self.assertRegex(self.refused(lambda p: p.reply(400, {"error": "DB-backed auth is not "
                                                                       "enabled"})),
                         r"^\[ERR\] Authentication failed: DB-backed auth is not enabled\n"
                         r"\[WARN\] .*\n\[WARN\] .*--auth-db.*\n$")
        for body in (b"", b"[]", {"token": 7}, {"token": "a\r\nb", "expiresAt": "x"},
                     {"token": "t"}):
            self.assertTrue(self.refused(lambda p: p.reply(200, body))  # noqa: B023
                            .startswith("[ERR] Login failed: the server's answer "))
        code, _, err = self.isol8("login", "--host", "http://127.0.0.1:1", "--key", KEY)
        self.assertTrue(err.startswith(b"[ERR] Login failed: Cannot reach "), err)

    def test_usage(self):
        self.assertEqual(self.isol8("login", "--key", "k")[::2],
                         (1, b"error: required option '--host <url>' not specified\n"))
        self.assertEqual(self.isol8("login", "--host", "http://x")[::2],
                         (1, b"error: required option '--key <key>' not specified\n"))


class Sessions(ClientCase):
    def of(self, route, *args):
        s = self.serve({"GET /sessions": route})
        return self.isol8("session", "list", "--host", s.url, "--key", KEY, *args, TZ="UTC")

    LIST = [{"id": "a", "isActive": True, "lastAccessedAt": "2026-01-02T03:04:05.678Z", "x": 1},
            {"id": "b\x1b[2J", "isActive": False, "lastAccessedAt": "\x07"}]

    def test_list(self):
        self.assertEqual(self.of(lambda p: p.reply(200, {"sessions": []})),
                         (0, b"[INFO] No active sessions.\n", b""))
        self.assertEqual(self.of(lambda p: p.reply(200, {"sessions": []}), "--json"),
                         (0, b"[]\n", b""))
        self.assertEqual(self.of(lambda p: p.reply(200, {"sessions": self.LIST})),
                         (0, b"\n  2 active session(s):\n\n"
                             b"  a  [running]  last accessed: 2026-01-02 03:04:05\n"
                             b"  b\\x1b[2J  [idle]  last accessed: \\x07\n\n", b""))
        code, out, _ = self.of(lambda p: p.reply(200, {"sessions": self.LIST}), "--json")
        wanted = [{k: x[k] for k in ("id", "isActive", "lastAccessedAt")} for x in self.LIST]
        self.assertEqual((code, json.loads(out)), (0, wanted))

    def test_list_fails(self):
        for answer, text in (((403, {"error": "Invalid API key"}), b"Invalid API key"),
                             ((500, b"x"), b"Internal Server Error"),
                             ((200, b"x"), b"the server's answer is not JSON"),
                             ((200, {"sessions": {}}),
                              b"the server's answer has no list of sessions"),
                             ((200, {"sessions": [{"id": 7}]}),
                              b"the server's answer has a session without an id")):
            self.assertEqual(self.of(lambda p: p.reply(*answer)),  # noqa: B023
                             (1, b"", b"[ERR] Failed to list sessions: " + text + b"\n"))

    def test_stop(self):
        s = self.serve({"DELETE /session/a%2F..%3F%20%C3%BC": lambda p: p.reply(200, {"ok": True}),
                        "DELETE /session/%2E%2E": lambda p: p.reply(500, {"error": "no"})})
        where = ("--host", s.url, "--key", KEY)
        # What is encoded needs no dots of its own: only a part of dots alone would be a step.
        self.assertEqual(self.isol8("session", "stop", "a/..? ü", *where),
                         (0, '[OK] Session "a/..? ü" destroyed.\n'.encode(), b""))
        self.assertEqual(self.isol8("session", "stop", "..", *where),
                         (1, b"", b"[ERR] Failed to delete session: no\n"))
        self.assertEqual(self.isol8("session", "stop", *where)[::2],
                         (1, b"error: missing required argument 'id'\n"))
        self.assertEqual(self.isol8("session", "list")[::2],
                         (1, b"error: required option '--host <url>' not specified\n"))


if __name__ == "__main__":
    unittest.main()
