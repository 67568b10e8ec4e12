# SPDX-License-Identifier: Apache-2.0
"""test_sessions.py - state between requests, files in both directions, conflicts, pruning."""
import hashlib
import http.client
import json
import os
import threading
import time
import unittest

from harness import KEY, Server, ServerCase, sandboxes, until


class Sessions(ServerCase):
    config = {"server": {"maxSessions": 40}}

    def ids(self):
        return [x["id"] for x in self.s.json("GET", "/sessions")[1]["sessions"]]

    def end(self, name):
        self.assertEqual(self.s.json("DELETE", "/session/" + name), (200, {"ok": True}))

    def test_state(self):
        self.assertEqual(self.s.run("echo 1 >f; echo $$", session="state")[0], 200)
        _, j = self.s.run("cat f", session="state")
        self.assertEqual(j["stdout"], "1")
        _, _, events = self.s.events("cat f", session="state")
        self.assertEqual(events[0]["data"], "1\n")
        _, j = self.s.run("cat f || echo none")
        self.assertIn("none", j["stdout"])
        listed = self.s.json("GET", "/sessions")[1]["sessions"]
        self.assertEqual(list(listed[-1]), ["id", "isActive", "lastAccessedAt"])
        self.assertIn("state", self.ids())
        self.end("state")
        self.assertNotIn("state", self.ids())
        self.end("state")

    def test_empty_id_is_none(self):
        self.assertEqual(self.s.run("echo 1", session="")[0], 200)
        self.assertNotIn("", self.ids())

    def test_conflict(self):
        self.s.run("true", session="conflict")
        status, j = self.s.json("POST", "/execute", {"request": {"runtime": "python", "code": "1"},
                                                     "sessionId": "conflict"})
        self.assertEqual(status, 409)
        self.assertTrue(j["error"].startswith('Cannot switch runtime from "bash" to "python"'), j)
        self.assertEqual(self.s.run("echo 1", session="conflict")[1]["stdout"], "1")
        self.end("conflict")

    def test_failed_first_call_leaves_nothing(self):
        status, _ = self.s.json("POST", "/execute", {"request": {"runtime": "perl", "code": "1"},
                                                     "sessionId": "failed"})
        self.assertEqual(status, 400)
        self.assertNotIn("failed", self.ids())

    def test_simultaneous_first_calls(self):
        """Twenty clients, one session, one sandbox."""
        before = sandboxes()
        answers = []

        def one(i):
            answers.append(self.s.run(f"echo {i} >>all; sleep 0.2; cat /proc/sys/kernel/random/boot_id",
                                      session="same"))
        threads = [threading.Thread(target=one, args=(i,)) for i in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([s for s, _ in answers], [200] * 20)
        self.assertEqual(len({j["containerId"] for _, j in answers}), 1)
        self.assertLessEqual(sandboxes(), before + 2)
        _, j = self.s.run("sort -n all | tr '\\n' ' '", session="same")
        self.assertEqual(j["stdout"], " ".join(map(str, range(20))))
        self.end("same")

    def test_end_cuts_off(self):
        answers = []
        t = threading.Thread(target=lambda: answers.append(self.s.run("sleep 60", session="cut")))
        t.start()
        until(lambda: any(x["id"] == "cut" and x["isActive"]
                          for x in self.s.json("GET", "/sessions")[1]["sessions"]))
        time.sleep(0.5)
        self.end("cut")
        t.join(10)
        self.assertFalse(t.is_alive())
        self.assertNotEqual(answers[0][1].get("exitCode"), 0)

    def test_made_and_dropped(self):
        for i in range(500):
            name = f"many-{i}"
            self.assertEqual(self.s.run("true", session=name)[0], 200)
            self.end(name)
        self.assertEqual([x for x in self.ids() if x.startswith("many")], [])

    def test_too_many(self):
        names = [f"m{i}" for i in range(45)]
        answers = [self.s.run("true", session=n) for n in names]
        self.assertIn(409, [s for s, _ in answers])
        self.assertIn("Too many sessions", [j for s, j in answers if s == 409][0]["error"])
        for n in names:
            self.end(n)

    def test_files(self):
        data = bytes(range(256)) * 100
        self.assertEqual(self.s.put("nix", "a", b"x"), (404, {"error": "Session not found"}))
        self.assertEqual(self.s.json("GET", "/file?sessionId=nix&path=a"),
                         (404, {"error": "Session not found"}))
        for query in ["", "?sessionId=a", "?path=a", "?sessionId=&path=a"]:
            status, j = self.s.json("GET", "/file" + query)
            self.assertEqual((status, j["error"]), (400, "Missing sessionId or path"))
        self.s.run("true", session="files")
        self.assertEqual(self.s.put("files", "d/e/f", data), (200, {"ok": True}))
        self.assertEqual(self.s.get("files", "/sandbox/d/e/f"), data)
        self.assertEqual(self.s.run("cat d/e/f | md5sum | cut -c-32", session="files")[1]["stdout"],
                         hashlib.md5(data).hexdigest())
        for path in ["nix", "d", "/etc/shadow", "/proc/1/mem"]:
            self.assertEqual(self.s.get("files", path), 404, path)
        self.s.run("ln -s /etc/passwd link; mkfifo fifo", session="files")
        self.assertEqual(self.s.get("files", "fifo"), 404)
        for body, field in [({"sessionId": "files", "content": "YQ=="}, "path"),
                            ({"sessionId": "files", "path": "a"}, "content"),
                            ({"sessionId": "files", "path": "a", "content": "a"}, "content"),
                            ({"sessionId": "files", "path": "a", "content": "YR=="}, "content")]:
            status, j = self.s.json("POST", "/file", body)
            self.assertEqual((status, j["field"]), (400, field))
        self.end("files")

    def raw(self, method, path, body=None, **headers):
        c = self.s.connect()
        c.request(method, path, body, dict({"Authorization": KEY}, **headers))
        return c, c.getresponse()

    def resident(self):
        with open(f"/proc/{self.s.process.pid}/status", encoding="utf-8") as f:
            return int([x for x in f if x.startswith("VmHWM")][0].split()[1]) // 1024

    def test_raw_files(self):
        """100 MB in both directions, without 100 MB of memory."""
        self.s.run("true", session="raw", )
        before = self.resident()
        block, n = os.urandom(1 << 20), 100
        digest = hashlib.sha256()

        def blocks():
            for _ in range(n):
                digest.update(block)
                yield block
        c, r = self.raw("POST", "/file?sessionId=raw&path=big", blocks(),
                        **{"Content-Type": "application/octet-stream",
                           "Content-Length": str(n << 20)})
        self.assertEqual((r.status, r.read()), (200, b'{"ok":true}'))
        c.close()
        got = hashlib.sha256()
        c, r = self.raw("GET", "/file?sessionId=raw&path=big", Accept="application/octet-stream")
        self.assertEqual(r.status, 200)
        self.assertEqual(r.headers["Content-Type"], "application/octet-stream")
        while part := r.read(1 << 20):
            got.update(part)
        c.close()
        self.assertEqual(got.digest(), digest.digest())
        self.assertLess(self.resident() - before, 60)
        c, r = self.raw("GET", "/file?sessionId=raw&path=nix", Accept="application/octet-stream")
        self.assertEqual((r.status, json.loads(r.read())), (404, {"error": "File not found"}))
        c.close()
        c, r = self.raw("POST", "/file?sessionId=nix&path=a", b"x",
                        **{"Content-Type": "application/octet-stream"})
        self.assertEqual(r.status, 404)
        c.close()
        self.s.run("true", session="raw")
        c, r = self.raw("POST", "/file?sessionId=raw&path=", b"x",
                        **{"Content-Type": "application/octet-stream"})
        self.assertEqual(r.status, 400)
        c.close()
        c, r = self.raw("POST", "/file?sessionId=raw&path=/etc/x", b"x" * 3000000,
                        **{"Content-Type": "application/octet-stream"})
        self.assertGreaterEqual(r.status, 400)
        c.close()
        c, r = self.raw("POST", "/file?sessionId=raw&path=empty", b"",
                        **{"Content-Type": "application/octet-stream"})
        self.assertEqual(r.status, 200)
        c.close()
        self.assertEqual(self.s.get("raw", "empty"), b"")
        self.end("raw")


class Pruning(unittest.TestCase):
    def test_idle_ones_go(self):
        s = Server({"cleanup": {"maxContainerAgeMs": 600}}).wait()
        try:
            s.run("true", session="idle")
            answers = []
            t = threading.Thread(target=lambda: answers.append(s.run("sleep 2; echo ok", session="busy")))
            t.start()
            until(lambda: [x["id"] for x in s.json("GET", "/sessions")[1]["sessions"]] == ["busy"])
            t.join()
            self.assertEqual(answers[0][1]["stdout"], "ok")
            until(lambda: s.json("GET", "/sessions")[1]["sessions"] == [])
        finally:
            self.assertEqual(s.stop(), 0)


if __name__ == "__main__":
    unittest.main()
