# SPDX-License-Identifier: Apache-2.0
"""test_api.py - every route: statuses, headers, bodies."""
import json
import os
import re
import threading
import time
import unittest

import jsonschema

from harness import KEY, Server, ServerCase, until

SOURCE = os.environ["ISOL8_SOURCE"]


class Api(ServerCase):
    config = {"server": {"maxBodySize": 1 << 20}}

    def test_health(self):
        status, headers, data = self.s.call("GET", "/health", key=None)
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "application/json")
        j = json.loads(data)
        self.assertEqual(list(j), ["status", "version"])
        self.assertEqual(j["status"], "ok")
        status, headers, data = self.s.call("HEAD", "/health", key=None)
        self.assertEqual((status, data), (200, b""))
        self.assertEqual(self.s.json("GET", "/ready", key=None), (200, {"status": "ready"}))

    def test_unknown_routes(self):
        for method, path in [("GET", "/nix"), ("GET", "/health/"), ("POST", "/health"),
                             ("OPTIONS", "/execute"), ("PUT", "/file"), ("DELETE", "/session/"),
                             ("GET", "/execute"), ("DELETE", "/session/a/b"), ("GET", "/")]:
            status, headers, data = self.s.call(method, path)
            self.assertEqual((status, data), (404, b"404 Not Found"), (method, path))
            self.assertEqual(headers["Content-Type"], "text/plain; charset=UTF-8")

    def test_authorization(self):
        for path in ["/execute", "/nix", "/metrics", "/openapi.json"]:
            self.assertEqual(self.s.json("GET", path, key=None),
                             (401, {"error": "Missing Authorization header"}))
        for value in ["", " "]:
            status, _, _ = self.s.call("GET", "/sessions", key=None,
                                       headers={"Authorization": value})
            self.assertEqual(status, 401)
        for value in ["Bearer wrong", "Bearer " + KEY[:-1], "Bearer " + KEY + "x", "Basic abc"]:
            got = self.s.json("GET", "/sessions", key=None, headers={"Authorization": value})
            self.assertEqual(got, (403, {"error": "Invalid API key"}))
        for value in [KEY, "bearer " + KEY, "BEARER   " + KEY, "Bearer\t" + KEY]:
            status, _, _ = self.s.call("GET", "/sessions", key=None,
                                       headers={"Authorization": value})
            self.assertEqual(status, 200, value)

    def test_execute(self):
        status, j = self.s.run("echo out; echo err >&2; exit 3", timeoutMs=5000)
        self.assertEqual(status, 200)
        self.assertEqual((j["stdout"], j["stderr"], j["exitCode"], j["verdict"]),
                         ("out", "err", 3, "exit"))
        for name in ["durationMs", "truncated", "executionId", "runtime", "timestamp",
                     "containerId", "resourceUsage"]:
            self.assertIn(name, j)

    def test_execute_with_everything(self):
        status, j = self.s.run(
            "cat; echo $A $SECRET; cat x/text buf arr index; echo done >out.txt",
            options={"mode": "ephemeral", "network": "none", "debug": True, "persist": False,
                     "networkFilter": {"whitelist": [], "blacklist": []}, "memoryLimit": "256m",
                     "cpuLimit": 1, "timeoutMs": 20000, "remoteCode": {"enabled": True},
                     "secrets": {"SECRET": "hunter22"}, "poolSize": "junk", "audit": 3,
                     "unknown": None},
            env={"A": "1"}, stdin="in\n", outputPaths=["/sandbox/out.txt", "/nix"],
            files={"x/text": "t\n", "buf": {"type": "Buffer", "data": [0x62, 10]},
                   "arr": [0x61, 10], "index": {"0": 0x69, "1": 10}},
            metadata={"userId": "me"}, workdir="/sandbox", nothing=1)
        self.assertEqual(status, 200, j)
        self.assertEqual(j["stdout"], "in\n1 ***\nt\nb\na\ni")
        self.assertEqual(j["files"], {"/sandbox/out.txt": "ZG9uZQo="})

    def test_cmd_and_timeout(self):
        status, j = self.s.json("POST", "/execute", {"request": {"runtime": "bash",
                                                                 "cmd": "sleep 60",
                                                                 "timeoutMs": 300}})
        self.assertEqual((status, j["exitCode"], j["verdict"]), (200, 137, "timeout"))

    def test_malformed(self):
        cases = [
            (b"", "body"), (b"{", "body"), (b"[]", "body"), (b"null", "body"), (b"{} x", "body"),
            (b'{"request":{"runtime":"bash","code":"a\\u0000b"}}', "body"),
            (b"{}", "request"), (b'{"request":null}', "request"), (b'{"request":1}', "request"),
            (b'{"request":{"code":"1"}}', "request.runtime"),
            (b'{"request":{"runtime":1}}', "request.runtime"),
            (b'{"request":{"runtime":"bash","code":{}}}', "request.code"),
            (b'{"request":{"runtime":"bash","code":"","env":[]}}', "request.env"),
            (b'{"request":{"runtime":"bash","code":"","env":{"A":1}}}', "request.env.A"),
            (b'{"request":{"runtime":"bash","files":{"a":1}}}', "request.files.a"),
            (b'{"request":{"runtime":"bash","files":{"a":[256]}}}', "request.files.a"),
            (b'{"request":{"runtime":"bash","files":{"a":{"1":1}}}}', "request.files.a"),
            (b'{"request":{"runtime":"bash","outputPaths":["a",1]}}', "request.outputPaths[1]"),
            (b'{"request":{"runtime":"bash","timeoutMs":0}}', "request.timeoutMs"),
            (b'{"request":{"runtime":"bash","timeoutMs":"5"}}', "request.timeoutMs"),
            (b'{"request":{"runtime":"bash"},"options":3}', "options"),
            (b'{"request":{"runtime":"bash"},"options":{"mode":"x"}}', "options.mode"),
            (b'{"request":{"runtime":"bash"},"options":{"network":"x"}}', "options.network"),
            (b'{"request":{"runtime":"bash"},"options":{"memoryLimit":"x"}}', "options.memoryLimit"),
            (b'{"request":{"runtime":"bash"},"options":{"cpuLimit":-1}}', "options.cpuLimit"),
            (b'{"request":{"runtime":"bash"},"options":{"networkFilter":{"whitelist":"a"}}}',
             "options.networkFilter.whitelist"),
            (b'{"request":{"runtime":"bash"},"options":{"secrets":{"A":null}}}', "options.secrets.A"),
            (b'{"request":{"runtime":"bash"},"sessionId":7}', "sessionId"),
            (b'{"request":{"runtime":"bash"},"sessionId":"a/b"}', "sessionId"),
            (b'{"request":{"runtime":"bash"},"sessionId":"' + b"x" * 129 + b'"}', "sessionId"),
        ]
        for body, field in cases:
            for path in ["/execute", "/execute/stream"]:
                status, headers, data = self.s.call("POST", path, body)
                self.assertEqual(status, 400, (body, data))
                self.assertEqual(headers["Content-Type"], "application/json")
                j = json.loads(data)
                self.assertEqual(j["field"], field, body)
                self.assertTrue(j["error"])

    def test_engine_errors(self):
        for request, part in [({"runtime": "perl", "code": "1"}, "Unknown runtime"),
                              ({"runtime": "bash"}, "exactly one of"),
                              ({"runtime": "bash", "code": "1", "cmd": "2"}, "mutually exclusive"),
                              ({"runtime": "bash", "code": "1", "workdir": "/etc"}, "Working directory")]:
            status, j = self.s.json("POST", "/execute", {"request": request})
            self.assertEqual(status, 400, j)
            self.assertIn(part, j["error"])
            status, headers, data = self.s.call("POST", "/execute/stream", {"request": request})
            self.assertEqual(status, 200)
            event = json.loads(data.decode()[6:])
            self.assertEqual((list(event), event["type"]), (["type", "data"], "error"))
            self.assertIn(part, event["data"])

    def test_content_type_does_not_matter(self):
        body = json.dumps({"request": {"runtime": "bash", "code": "echo 1"}})
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]:
            status, _ = self.s.json("POST", "/execute", body, headers={"Content-Type": kind})
            self.assertEqual(status, 200, kind)

    def test_stream(self):
        status, headers, events = self.s.events("echo a; sleep 0.1; echo b >&2; exit 4")
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "text/event-stream")
        self.assertEqual(headers["Cache-Control"], "no-cache")
        self.assertEqual(headers["Connection"].lower(), "keep-alive")
        self.assertEqual(events, [{"type": "stdout", "data": "a\n", "phase": "code"},
                                  {"type": "stderr", "data": "b\n", "phase": "code"},
                                  {"type": "exit", "data": "4", "phase": "code"}])

    def test_stream_setup_phase(self):
        _, _, events = self.s.events("echo code", setupScript="echo setup")
        self.assertIn({"type": "exit", "data": "0", "phase": "setup"}, events)
        self.assertEqual(events[-1], {"type": "exit", "data": "0", "phase": "code"})

    def test_stream_keeps_characters_whole(self):
        _, _, events = self.s.events(r"printf '\xe2\x82'; sleep 0.2; printf '\xac|\xff|\xf0\x9f'")
        text = "".join(e["data"] for e in events if e["type"] == "stdout")
        self.assertEqual(text, "\u20ac|\ufffd|\ufffd\ufffd")

    def test_stream_comes_at_once(self):
        c = self.s.connect()
        c.request("POST", "/execute/stream",
                  json.dumps({"request": {"runtime": "bash", "code": "echo first; sleep 3"}}),
                  {"Authorization": KEY})
        start = time.monotonic()
        r = c.getresponse()
        self.assertEqual(r.readline(), b'data: {"type":"stdout","data":"first\\n","phase":"code"}\n')
        self.assertLess(time.monotonic() - start, 2)
        c.close()

    def test_openapi(self):
        status, doc = self.s.json("GET", "/openapi.json")
        self.assertEqual(status, 200)
        self.assertTrue(doc["openapi"].startswith("3.1"))
        with open(os.path.join(SOURCE, "server", "route.c"), encoding="utf-8") as f:
            table = set(re.findall(r'\{ "([A-Z]+)", "(/[^"]*)",', f.read()))
        said = {(m.upper(), re.sub(r"\{.*\}", "*", p)) for p, x in doc["paths"].items() for m in x}
        self.assertEqual(table, said)
        answers = [
            ("get", "/health", 200, self.s.json("GET", "/health")),
            ("get", "/ready", 200, self.s.json("GET", "/ready")),
            ("post", "/execute", 200, self.s.run("echo 1", outputPaths=["a"])),
            ("post", "/execute", 400, self.s.json("POST", "/execute", b"x")),
            ("post", "/execute", 403, self.s.run("1", options={"network": "host"})),
            ("get", "/sessions", 200, self.s.json("GET", "/sessions")),
            ("delete", "/session/{id}", 200, self.s.json("DELETE", "/session/none")),
            ("get", "/file", 400, self.s.json("GET", "/file")),
            ("post", "/file", 404, self.s.put("none", "a", b"")),
            ("get", "/auth/keys", 400, self.s.json("GET", "/auth/keys")),
            ("post", "/auth/login", 400, self.s.json("POST", "/auth/login")),
            ("post", "/cleanup", 200, self.s.json("POST", "/cleanup", {"images": False})),
        ]
        for method, path, status, (got, body) in answers:
            self.assertEqual(got, status, (path, body))
            said = doc["paths"][path][method]["responses"][str(status)]
            while "$ref" in said:
                said = doc["components"]["responses"][said["$ref"].rsplit("/", 1)[1]]
            schema = dict(said["content"]["application/json"]["schema"],
                          components=doc["components"])
            jsonschema.Draft202012Validator(schema).validate(body)
        event = doc["components"]["schemas"]["StreamEvent"]
        for e in self.s.events("echo x")[2]:
            jsonschema.Draft202012Validator(event).validate(e)

    def test_metrics(self):
        before = self.s.metric("isol8_executions_total")
        self.s.run("true")
        self.assertEqual(self.s.metric("isol8_executions_total"), before + 1)
        _, headers, text = self.s.call("GET", "/metrics")
        self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        for name in [b"isol8_execution_seconds_bucket{phase=\"total\",le=\"+Inf\"}",
                     b"isol8_pool_ready ", b"isol8_sessions ", b"isol8_resident_memory_bytes "]:
            self.assertIn(name, text)

    def test_keys_need_a_database(self):
        for method, path in [("POST", "/auth/keys"), ("GET", "/auth/keys"),
                             ("DELETE", "/auth/keys/x"), ("POST", "/auth/login")]:
            self.assertEqual(self.s.json(method, path),
                             (400, {"error": "DB-backed auth is not enabled"}))

    def test_cleanup(self):
        self.s.run("true", session="to-clean")
        status, j = self.s.json("POST", "/cleanup", {"images": False})
        self.assertEqual((status, j["ok"]), (200, True))
        self.assertGreaterEqual(j["sessions"]["removed"], 1)
        self.assertEqual(j["containers"]["failed"], 0)
        self.assertNotIn("images", j)
        self.assertEqual(self.s.json("GET", "/sessions")[1], {"sessions": []})

    def test_keep_alive(self):
        c = self.s.connect()
        c.connect()
        first = c.sock
        for path in ["/health", "/nix", "/sessions"]:
            self.s.call("GET", path, connection=c)
        for _ in range(5):
            status, _, _ = self.s.call("POST", "/execute", {"request": {"runtime": "bash", "code": "1"}},
                                       connection=c)
            self.assertEqual(status, 200)
        self.s.call("GET", "/sessions", key=None, connection=c)
        self.assertIs(c.sock, first)
        c.close()


class Queue(ServerCase):
    config = {"maxConcurrent": 1, "server": {"maxQueue": 1}}

    def test_full_queue(self):
        """One runs, one waits, the third is told to come back."""
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.s.run("sleep 1; echo ok")))
                   for _ in range(2)]
        for t in threads:
            t.start()
        until(lambda: self.s.metric("isol8_queued") == 1)
        status, headers, data = self.s.call("POST", "/execute",
                                            {"request": {"runtime": "bash", "code": "echo 1"}})
        self.assertEqual(status, 503, data)
        self.assertEqual(headers["Retry-After"], "1")
        self.assertIn("busy", json.loads(data)["error"])
        self.assertEqual(self.s.call("POST", "/execute/stream",
                                     {"request": {"runtime": "bash", "code": "1"}})[0], 503)
        for t in threads:
            t.join()
        self.assertEqual([(a, j["stdout"]) for a, j in answers], [(200, "ok")] * 2)
        self.assertEqual(self.s.metric("isol8_queue_full_total"), 2)

    def test_leaving_the_queue(self):
        t = threading.Thread(target=lambda: self.s.run("sleep 1"))
        t.start()
        until(lambda: self.s.metric("isol8_executing") == 1)
        c = self.s.connect()
        c.request("POST", "/execute", json.dumps({"request": {"runtime": "bash", "code": "1"}}),
                  {"Authorization": KEY})
        until(lambda: self.s.metric("isol8_queued") == 1)
        c.close()
        until(lambda: self.s.metric("isol8_queued") == 0, 0.9, "leaving the queue")
        t.join()


class Slow(unittest.TestCase):
    def test_long_and_quiet(self):
        """The original cut connections after ten silent seconds."""
        s = Server().wait()
        try:
            answers = []
            t = threading.Thread(target=lambda: answers.append(s.run("sleep 16; echo ok")))
            t.start()
            _, _, data = s.call("POST", "/execute/stream",
                                {"request": {"runtime": "bash", "code": "sleep 16; echo ok"}})
            t.join()
            self.assertEqual(answers[0][1]["stdout"], "ok")
            self.assertIn(b": keep-alive\n\n", data)
            self.assertTrue(data.endswith(b'"exit","data":"0","phase":"code"}\n\n'), data)
        finally:
            s.stop()


if __name__ == "__main__":
    unittest.main()
