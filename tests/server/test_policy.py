# SPDX-License-Identifier: Apache-2.0
"""test_policy.py - the operator's settings are a ceiling, and a refusal names the limit."""
import unittest

from harness import ServerCase


class Defaults(ServerCase):
    config = {"defaults": {"timeoutMs": 5000}}

    def refused(self, options, key, status=403, **request):
        got, j = self.s.run("echo 1", options=options, **request)
        self.assertEqual(got, status, (options, j))
        self.assertIn(key, j["error"])
        self.assertNotIn("stdout", j)

    def test_refused(self):
        self.refused({"network": "host"}, "server.max.network")
        self.refused({"security": {"seccomp": "unconfined"}}, "security.seccomp")
        self.refused({"security": {"seccomp": "custom", "customProfilePath": "/etc/passwd"}},
                     "configuration")
        self.refused({"memoryLimit": "0"}, "server.max.memory")
        self.refused({"memoryLimit": "5g"}, "server.max.memory")
        self.refused({"cpuLimit": 0}, "server.max.cpu")
        self.refused({"cpuLimit": 64}, "server.max.cpu")
        self.refused({"pidsLimit": 0}, "server.max.pids")
        self.refused({"pidsLimit": -1}, "server.max.pids")
        self.refused({"pidsLimit": 5000}, "server.max.pids")
        self.refused({"timeoutMs": 3600001}, "server.max.timeoutMs")
        self.refused({}, "request.timeoutMs", timeoutMs=3600001)
        self.refused({"maxOutputSize": 1 << 30}, "server.max.outputSize")
        self.refused({"sandboxSize": "5g"}, "server.max.sandboxSize")
        self.refused({"tmpSize": "3g"}, "server.max.tmpSize")
        self.refused({"image": "nix"}, "server.images")
        self.refused({"readonlyRootFs": False}, "server.allowWritableRootFs")
        self.refused({"persist": True}, "server.allowPersist")

    def test_allowed(self):
        status, j = self.s.run("echo 1", timeoutMs=1800000, options={
            "network": "none", "memoryLimit": "1g", "cpuLimit": 2, "pidsLimit": 100,
            "timeoutMs": 1800000, "maxOutputSize": 1 << 21, "sandboxSize": "600m",
            "tmpSize": "300m", "image": "host", "readonlyRootFs": True, "persist": False,
            "security": {"seccomp": "strict"}})
        self.assertEqual((status, j.get("stdout")), (200, "1"), j)

    def test_effect(self):
        """What a request lowers is lowered."""
        _, j = self.s.run("head -c 3000 /dev/zero | tr '\\0' x", options={"maxOutputSize": 1000})
        self.assertTrue(j["truncated"])
        _, j = self.s.run("sleep 9", options={"timeoutMs": 200})
        self.assertEqual(j["verdict"], "timeout")
        _, j = self.s.run("df -B1 --output=size /sandbox | tail -1", options={"sandboxSize": "1m"})
        self.assertEqual(int(j["stdout"]), 1 << 20)

    def test_nothing_shared(self):
        """Requests with other options do not get an engine that was made for these."""
        for n in [1000, 2000, 1000]:
            _, j = self.s.run("head -c 5000 /dev/zero | tr '\\0' x", options={"maxOutputSize": n})
            self.assertTrue(j["truncated"])
            self.assertIn(n, range(len(j["stdout"]) - 100, len(j["stdout"]) + 1))
        _, j = self.s.run("echo $S hunter22", options={"secrets": {"S": "hunter22"}})
        self.assertEqual(j["stdout"], "*** ***")
        _, j = self.s.run("echo $S hunter22")
        self.assertEqual(j["stdout"], "hunter22")


class Operator(ServerCase):
    config = {"defaults": {"memoryLimit": "6g", "cpuLimit": 0.5, "network": "filtered"},
              "network": {"whitelist": [r"^(a|b)\.example$"], "blacklist": [r"^b\.example$"],
                          "hosts": {"a.example": "127.0.0.1", "b.example": "127.0.0.1",
                                    "c.example": "127.0.0.1"}},
              "server": {"images": ["host", "other"],
                         "max": {"memory": "64m", "cpu": 0.25, "pids": 32, "timeoutMs": 1000,
                                 "network": "none"}}}

    def test_own_defaults_are_always_allowed(self):
        status, j = self.s.run("echo 1", options={"memoryLimit": "6g", "cpuLimit": 0.5,
                                                  "network": "filtered", "timeoutMs": 30000})
        self.assertEqual((status, j.get("stdout")), (200, "1"), j)
        for options in [{"memoryLimit": "7g"}, {"cpuLimit": 1}, {"pidsLimit": 33},
                        {"timeoutMs": 30001}, {"network": "host"}, {"image": "third"}]:
            self.assertEqual(self.s.run("1", options=options)[0], 403, options)

    def judged(self, options):
        """Ask for each name through the proxy."""
        code = ("for h in a b c; do exec 3<>/dev/tcp/198.18.0.1/8118 || exit 9; "
                "printf 'GET http://%s.example:9/ HTTP/1.1\\r\\nHost: %s.example:9\\r\\n"
                "Connection: close\\r\\n\\r\\n' $h $h >&3; head -1 <&3; done")
        status, j = self.s.run(code, options=options)
        self.assertEqual((status, j.get("exitCode")), (200, 0), j)
        return j

    def rules(self, options):
        j = self.judged(dict(options, logNetwork=True))
        return {e["host"]: (e["action"], e.get("reason", "")) for e in j.get("networkLogs", [])}

    def test_lists_bind(self):
        for options in [{}, {"networkFilter": {"whitelist": [], "blacklist": []}},
                        {"networkFilter": {"whitelist": [".*"]}},
                        {"networkFilter": {"whitelist": [r"c\.example|a))|(?:(?:.*"]}}]:
            status, j = self.s.run("true", options=options)
            if status == 400:
                self.assertIn("whitelist", j["error"])
                continue
            got = self.rules(options)
            self.assertEqual(got["b.example"][0], "BLOCK", options)
            self.assertEqual(got["c.example"][0], "BLOCK", options)
            self.assertNotIn("list", got["a.example"][1], options)

    def test_lists_can_be_narrowed(self):
        got = self.rules({"networkFilter": {"blacklist": ["^a"]}})
        self.assertEqual({h: a for h, (a, _) in got.items()},
                         {"a.example": "BLOCK", "b.example": "BLOCK", "c.example": "BLOCK"})
        self.assertIn("denied", got["a.example"][1])
        got = self.rules({"networkFilter": {"whitelist": ["^z"]}})
        self.assertEqual(got["a.example"][0], "BLOCK")


if __name__ == "__main__":
    unittest.main()
