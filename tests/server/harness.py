# SPDX-License-Identifier: Apache-2.0
"""harness.py - a server of its own for a test, and short ways to talk to it."""
import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

BUILD = os.path.dirname(os.path.dirname(os.environ["ISOL8"]))
SERVER = os.environ.get("ISOL8_SERVER", os.path.join(BUILD, "server", "isol8-server"))
KEY = "a-key-of-the-tests-which-nobody-can-guess"
CGROUP = f"isol8-srv-{os.getpid()}"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def merge(a, b):
    for k, v in b.items():
        a[k] = merge(a.get(k, {}), v) if isinstance(v, dict) else v
    return a


class Server:
    """isol8-server on a port of its own."""

    def __init__(self, config=None, key=KEY, args=(), command=None, env=None, port=None):
        self.folder = tempfile.mkdtemp(prefix="isol8-srv-", dir=os.environ.get("ISOL8_TEST_DIR"))
        conf = {"cgroupParent": CGROUP, "maxConcurrent": 16,
                "server": {"image": "host", "images": ["host"], "shutdownGraceMs": 3000}}
        self.config = os.path.join(self.folder, "config.json")
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump(merge(conf, config or {}), f)
        self.port = port or free_port()
        self.key = key
        self.log = open(os.path.join(self.folder, "log"), "w+", encoding="utf-8")
        environment = dict(os.environ, ISOL8_API_KEY=key, HOME=self.folder)
        environment.update(env or {})
        self.process = subprocess.Popen(
            [*(command or [SERVER]), "--port", str(self.port), "--config", self.config, *args],
            stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=environment, cwd=self.folder)

    def wait(self):
        end = time.monotonic() + 60
        while "listening on" not in self.said():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError("the server did not start: " + self.said())
            time.sleep(0.02)
        return self

    def said(self):
        with open(self.log.name, encoding="utf-8") as f:
            return f.read()

    def stop(self, sig=signal.SIGTERM, timeout=60):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(timeout)
        self.log.close()
        return code

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def call(self, method, path, body=None, key=KEY, headers=None, connection=None, timeout=60):
        """Status, headers and body (bytes)."""
        c = connection or self.connect(timeout)
        h = dict(headers or {})
        if key is not None:
            h["Authorization"] = f"Bearer {key}"
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            h.setdefault("Content-Type", "application/json")
        c.request(method, path, body, h)
        r = c.getresponse()
        data = r.read()
        if connection is None:
            c.close()
        return r.status, r.headers, data

    def json(self, *args, **more):
        status, _, data = self.call(*args, **more)
        return status, json.loads(data)

    def run(self, code, options=None, session=None, **request):
        body = {"request": {"runtime": "bash", "code": code, **request}}
        if options is not None:
            body["options"] = options
        if session is not None:
            body["sessionId"] = session
        return self.json("POST", "/execute", body)

    def events(self, code, session=None, **request):
        body = {"request": {"runtime": "bash", "code": code, **request}}
        if session is not None:
            body["sessionId"] = session
        status, headers, data = self.call("POST", "/execute/stream", body)
        lines = data.decode().split("\n\n")
        events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        return status, headers, events

    def metric(self, name):
        _, _, text = self.call("GET", "/metrics")
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.decode().splitlines()
                   if line.startswith(name + "{") or line.startswith(name + " "))

    def put(self, session, path, data):
        return self.json("POST", "/file", {"sessionId": session, "path": path,
                                           "content": base64.b64encode(data).decode()})

    def get(self, session, path):
        status, j = self.json("GET", f"/file?sessionId={session}&path={path}")
        return base64.b64decode(j["content"]) if status == 200 else status


def until(check, seconds=20, what="it"):
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen in {seconds} s")
        time.sleep(0.02)


def sandboxes():
    try:
        return len(os.listdir(os.path.join(os.environ["ISOL8_STATE_ROOT"], "sandboxes")))
    except FileNotFoundError:
        return 0


def alive(mark):
    """Whether a process has @mark among its arguments."""
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if mark.encode() in f.read().split(b"\0"):
                        return True
            except OSError:
                pass
    return False


class ServerCase(unittest.TestCase):
    """One server for all tests of the class."""
    config = None
    key = KEY

    @classmethod
    def setUpClass(cls):
        cls.s = Server(cls.config, cls.key).wait()

    @classmethod
    def tearDownClass(cls):
        code = cls.s.stop()
        said = cls.s.said()
        assert code == 0, (code, said)
        assert "ERROR: " not in said and "runtime error" not in said, said
