# SPDX-License-Identifier: Apache-2.0
"""test_load.py - many requests: none fails, and nothing grows. tests/bench/bench_load.c does more."""
import os
import threading
import time
import unittest

from harness import CGROUP, Server, sandboxes, until


class Load(unittest.TestCase):
    def setUp(self):
        self.s = Server({"poolSize": {"clean": 2, "dirty": 8},
                         "server": {"prewarm": ["bash"]}}).wait()

    def tearDown(self):
        code = self.s.stop()
        self.assertEqual(code, 0, self.s.said())
        self.assertEqual(sandboxes(), 0)

    def resident(self):
        with open(f"/proc/{self.s.process.pid}/smaps_rollup", encoding="utf-8") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))

    def count(self, name):
        return len(os.listdir(f"/proc/{self.s.process.pid}/{name}"))

    def mounts(self):
        with open(f"/proc/{self.s.process.pid}/mountinfo", encoding="utf-8") as f:
            return len(f.readlines())

    @staticmethod
    def cgroups():
        return sum(1 for tree in os.listdir("/sys/fs/cgroup")
                   for _ in os.walk(os.path.join("/sys/fs/cgroup", tree, CGROUP)))

    @staticmethod
    def files():
        return sum(len(files) for _, _, files in os.walk(os.environ["ISOL8_STATE_ROOT"]))

    def holdings(self):
        """What it has when it has nothing to do."""
        until(lambda: self.s.metric("isol8_pool_ready") == 2 and
              self.s.metric("isol8_pool_making") == 0 and
              self.s.metric("isol8_pool_removing") == 0, 60, "rest")
        time.sleep(0.3)  # the connection that asked has been seen to end
        return {"descriptors": self.count("fd"), "threads": self.count("task"),
                "mounts": self.mounts(), "cgroups": self.cgroups(), "files": self.files()}

    def ask(self, n, path="/execute"):
        """@n requests by four clients, each on one connection."""
        answers = []

        def client():
            c = self.s.connect()
            for _ in range(n // 4):
                status, _, data = self.s.call("POST", path, {"request": {
                    "runtime": "bash", "code": "echo hello"}}, connection=c)
                answers.append((status, b"hello" in data))
            c.close()
        threads = [threading.Thread(target=client) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(set(answers), {(200, True)})
        self.assertEqual(len(answers), n)

    def test_nothing_grows(self):
        self.ask(40)  # threads of the background and what libraries keep are there now
        before, memory = self.holdings(), self.resident()
        self.ask(200)
        self.ask(100, "/execute/stream")
        after = self.holdings()
        for name, n in before.items():
            # One connection less or more may be on its way out.
            self.assertLessEqual(after[name], n + (1 if name in ("descriptors", "threads") else 0),
                                 (before, after))
        # Sanitizers keep what was freed for a while: far less than a body or a result each.
        self.assertLess(self.resident() - memory, 64 << 10)

    def test_idle_connections(self):
        """Hundreds of them cost a thread each while they are there, and nothing afterwards."""
        before = self.holdings()
        idle = [self.s.connect() for _ in range(300)]
        for c in idle:
            self.s.call("GET", "/health", key=None, connection=c)
        self.assertGreaterEqual(self.count("task"), 300)
        self.ask(20)
        for c in idle:
            c.close()
        until(lambda: self.count("task") <= before["threads"] + 4, what="the threads' end")


if __name__ == "__main__":
    unittest.main()
