# SPDX-License-Identifier: Apache-2.0
"""harness.py - the command against a server that does what the test tells it to."""
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.environ["ISOL8_SOURCE"], "tests", "support"))
from fake_server import FakeServer, Gone, Peer  # noqa: E402,F401

ISOL8 = os.environ["ISOL8"]
KEY = "a-key-of-the-tests"
LOST = b"[ERR] The connection to the server was lost before the program ended.\n"


class ClientCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="isol8-client-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.home = os.path.join(self.folder, "home")
        os.mkdir(self.home)

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items()
               if not k.lower().endswith("_proxy") and
               k not in ("ISOL8_API_KEY", "CURL_CA_BUNDLE", "SSL_CERT_FILE")}
        env.update(HOME=self.home, ISOL8_CONFIG="/dev/null", **more)
        return env

    def start(self, *args, **env):
        return subprocess.Popen([ISOL8, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd=self.folder,
                                env=self.environment(**env))

    def isol8(self, *args, **env):
        """Exit code, stdout and stderr."""
        p = self.start(*args, **env)
        out, err = p.communicate(timeout=60)
        self.assertNotIn(b"ERROR: ", err)
        self.assertNotIn(b"runtime error", err)
        return p.returncode, out, err

    def serve(self, routes, **more):
        server = FakeServer(routes, **more)
        self.addCleanup(server.__exit__)
        return server

    def run_on(self, server, *args, **env):
        args = args or ("--cmd", "true")
        return self.isol8("run", "--host", server.url, "--key", KEY, *args, **env)

    def over_ws(self, route, *args):
        return self.run_on(self.serve({"GET /execute/ws": route}), *args)

    def over_sse(self, route, *args):
        return self.run_on(self.serve({"POST /execute/stream": route}), *args)

    def buffered(self, route, *args):
        return self.run_on(self.serve({"POST /execute": route}), "--no-stream", "--cmd", "x", *args)
