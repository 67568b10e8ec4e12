# SPDX-License-Identifier: Apache-2.0
"""test_life.py - start and stop: keys, ports, sockets, signals under load, what is left over."""
import http.client
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

from harness import BUILD, KEY, SERVER, Server, sandboxes, until

ISOL8 = os.environ["ISOL8"]


def run(*args, env=None, **more):
    environment = {k: v for k, v in os.environ.items() if k not in ("ISOL8_API_KEY", "PORT", "ISOL8_PORT")}
    environment.update(env or {})
    return subprocess.run(args, capture_output=True, text=True, timeout=60, env=environment,
                          stdin=subprocess.DEVNULL, check=False, **more)


class Load:
    """Clients that do not stop asking."""

    def __init__(self, server, n=8):
        self.over = False
        self.answers = []
        self.threads = [threading.Thread(target=self.ask, args=(server, i)) for i in range(n)]
        for t in self.threads:
            t.start()

    def ask(self, server, i):
        while not self.over:
            try:
                status, _ = server.run("sleep 0.05; echo $RANDOM",
                                       session=f"load-{i}" if i % 2 else None)
                self.answers.append(status)
            except (OSError, http.client.HTTPException):
                self.answers.append(None)
                time.sleep(0.02)

    def stop(self):
        self.over = True
        for t in self.threads:
            t.join()


class Start(unittest.TestCase):
    def test_words(self):
        r = run(SERVER)
        self.assertEqual(r.returncode, 0)
        self.assertIn("--port", r.stdout)
        r = run(SERVER, "--version")
        self.assertEqual((r.returncode, r.stdout), (0, run(ISOL8, "--version").stdout))
        for args, text in [(["--nix"], "[ERR] Unknown argument: --nix\n"),
                           (["--port", "1"], "[ERR] API key required. Use --key or set ISOL8_API_KEY env var.\n"),
                           (["-k", "x", "--port", "0"], "[ERR] Invalid port from --port: 0. Expected 1-65535.\n"),
                           (["-k", "x", "--port=7x"], "[ERR] Invalid port from --port: 7x. Expected 1-65535.\n"),
                           (["-k", "x", "--tls-cert", "a"], "[ERR] --tls-cert and --tls-key belong together.\n")]:
            r = run(SERVER, *args)
            self.assertEqual((r.returncode, r.stdout, r.stderr), (1, "", text))
        r = run(SERVER, "-k", "x", env={"PORT": "x"})
        self.assertEqual(r.stderr, "[ERR] Invalid port from PORT: x. Expected 1-65535.\n")
        r = run(ISOL8, "serve")
        self.assertEqual((r.returncode, r.stderr),
                         (1, "[ERR] API key required. Use --key or ISOL8_API_KEY env var.\n"))
        r = run(ISOL8, "serve", "--key", "x", "--port", "70000")
        self.assertEqual((r.returncode, r.stderr),
                         (1, "[ERR] Invalid port from --port: 70000. Expected 1-65535.\n"))

    def test_busy_port(self):
        a = Server().wait()
        b = Server(port=a.port)
        self.assertEqual(b.process.wait(20), 1)
        self.assertIn(f"Port {a.port} is already in use", b.said())
        self.assertEqual(a.stop(), 0)
        b.stop()

    def test_by_the_command(self):
        s = Server(command=[ISOL8, "serve"]).wait()
        self.assertTrue(s.said().startswith("[INFO] isol8 server v"))
        self.assertIn(f"listening on http://localhost:{s.port}\n       Auth: Bearer token required\n", s.said())
        self.assertEqual(s.run("echo 1")[1]["stdout"], "1")
        with open(f"/proc/{s.process.pid}/cmdline", encoding="utf-8") as f:
            self.assertNotIn(KEY, f.read())
        self.assertEqual(s.stop(), 0)
        self.assertIn("[Serve] Shutting down server and cleaning up resources...\n[Serve] Cleanup complete", s.said())
        self.assertNotIn(KEY, s.said())

    def test_key_file_and_hidden_key(self):
        name = os.path.join(os.environ.get("ISOL8_TEST_DIR", "/tmp"), "key")
        with open(name, "w", encoding="utf-8") as f:
            f.write("from-a-file\nmore")
        s = Server(key="", args=["--key-file", name]).wait()
        self.assertEqual(s.call("GET", "/sessions", key="from-a-file")[0], 200)
        self.assertEqual(s.stop(), 0)
        s = Server(key="", args=["--key", "on-the-line"]).wait()
        self.assertEqual(s.call("GET", "/sessions", key="on-the-line")[0], 200)
        with open(f"/proc/{s.process.pid}/cmdline", encoding="utf-8") as f:
            self.assertNotIn("on-the-line", f.read())
        self.assertEqual(s.stop(), 0)

    def test_loopback_only(self):
        s = Server().wait()
        with open("/proc/net/tcp", encoding="utf-8") as f:
            mine = [x.split()[1] for x in f if f":{s.port:04X} " in x.split()[1] + " " and x.split()[3] == "0A"]
        self.assertEqual(mine, [f"0100007F:{s.port:04X}"])
        self.assertEqual(s.stop(), 0)

    def test_config_errors(self):
        for config, text in [({"auth": {"enabled": True, "connectionString": "redis://x"}},
                              "redis:// is no kind of database"),
                             ({"server": {"max": {"network": "x"}}}, "server.max.network"),
                             ({"server": {"prewarm": ["perl"]}}, "Unknown runtime"),
                             ({"network": {"whitelist": ["("]}}, "network.whitelist[0]")]:
            s = Server(config)
            self.assertEqual(s.process.wait(20), 1)
            self.assertIn(text, s.said())
            s.stop()

    def test_prewarmed(self):
        s = Server({"server": {"prewarm": ["bash"]}, "poolSize": {"clean": 2, "dirty": 4}}).wait()
        self.assertEqual(s.metric("isol8_pool_ready"), 2)
        s.run("true")
        self.assertEqual(s.metric("isol8_pool_hits_total"), 1)
        self.assertEqual(s.stop(), 0)
        self.assertEqual(sandboxes(), 0)


class LocalSocket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Sockets(unittest.TestCase):
    def ask(self, c, path="/sessions"):
        c.request("GET", path, headers={"Authorization": KEY})
        r = c.getresponse()
        r.read()
        c.close()
        return r.status

    def test_unix(self):
        path = os.path.join(os.environ.get("ISOL8_TEST_DIR", "/tmp"), "s.sock")
        for sig in [signal.SIGKILL, signal.SIGTERM]:  # what the first leaves is replaced
            s = Server(args=["--host-address", "unix:" + path]).wait()
            self.assertIn("listening on unix:" + path, s.said())
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            self.assertEqual(self.ask(LocalSocket(path)), 200)
            other = Server(args=["--host-address", "unix:" + path])
            self.assertEqual(other.process.wait(20), 1)
            self.assertIn("already in use", other.said())
            other.stop()
            s.stop(sig)
        self.assertFalse(os.path.exists(path))

    def test_activation_and_notification(self):
        folder = os.environ.get("ISOL8_TEST_DIR", "/tmp")
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = os.path.join(folder, "notify")
        if os.path.exists(name):
            os.unlink(name)
        told.bind(name)
        told.settimeout(20)
        passed = socket.socket()
        passed.bind(("127.0.0.1", 0))
        passed.listen()
        port = passed.getsockname()[1]
        fd = passed.fileno()
        # The shell keeps its number when it becomes the server, as a service manager's child does.
        script = f"exec 3<&{fd}; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\""
        log = open(os.path.join(folder, "activated"), "w+", encoding="utf-8")
        helper = Server().wait()  # for its configuration file
        p = subprocess.Popen(["bash", "-c", script, "sh", SERVER, "--config", helper.config],
                             pass_fds=[fd], stdout=log, stderr=log,
                             env=dict(os.environ, ISOL8_API_KEY=KEY, NOTIFY_SOCKET=name))
        self.assertIn(b"READY=1", told.recv(1000))
        self.assertEqual(self.ask(http.client.HTTPConnection("127.0.0.1", port)), 200)
        p.terminate()
        self.assertIn(b"STOPPING=1", told.recv(1000))
        self.assertEqual(p.wait(20), 0)
        self.assertEqual(helper.stop(), 0)
        log.close()

    def test_tls(self):
        import ssl
        folder = os.environ.get("ISOL8_TEST_DIR", "/tmp")
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        r = run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                cert, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        self.assertEqual(r.returncode, 0, r.stderr)
        s = Server(args=["--tls-cert", cert, "--tls-key", key])
        s.wait()
        self.assertIn(f"https://localhost:{s.port}", s.said())
        trust = ssl.create_default_context(cafile=cert)
        c = http.client.HTTPSConnection("localhost", s.port, context=trust)
        c.request("POST", "/execute", '{"request":{"runtime":"bash","code":"echo tls"}}',
                  {"Authorization": KEY})
        self.assertIn(b'"stdout":"tls"', c.getresponse().read())
        c.close()
        c = http.client.HTTPSConnection("localhost", s.port, context=trust)
        c.request("POST", "/execute", '{"request":{"runtime":"bash","code":"sleep 300"}}',
                  {"Authorization": KEY})
        time.sleep(0.5)
        c.close()
        time.sleep(0.5)
        self.assertEqual(s.stop(timeout=3), 0)  # nothing to wait for: the client has left
        bad = Server(args=["--tls-cert", key, "--tls-key", cert])
        self.assertEqual(bad.process.wait(20), 1)
        bad.stop()


class Stop(unittest.TestCase):
    def test_drains(self):
        """What runs may end; who comes then is turned away."""
        s = Server().wait()
        answers = []
        t = threading.Thread(target=lambda: answers.append(s.run("sleep 1.5; echo done")))
        t.start()
        idle = s.connect()
        self.assertEqual(s.call("GET", "/sessions", connection=idle)[0], 200)
        until(lambda: s.metric("isol8_executing") == 1)
        s.process.send_signal(signal.SIGTERM)
        until(lambda: "Shutting down" in s.said())
        time.sleep(0.1)
        self.assertEqual(s.call("GET", "/sessions", connection=idle)[0], 503)
        with self.assertRaises(ConnectionRefusedError):
            s.run("true")
        t.join()
        self.assertEqual(answers[0][1]["stdout"], "done")
        self.assertEqual(s.stop(), 0)

    def test_grace_has_an_end(self):
        s = Server({"server": {"shutdownGraceMs": 500}}).wait()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(s.run("sleep 300"))),
                   threading.Thread(target=lambda: answers.append(s.run("sleep 300", session="x"))),
                   threading.Thread(target=lambda: answers.append(s.events("echo a; sleep 300")))]
        for t in threads:
            t.start()
        until(lambda: s.metric("isol8_executing") == 3)
        time.sleep(0.3)
        start = time.monotonic()
        self.assertEqual(s.stop(), 0)
        self.assertLess(time.monotonic() - start, 5)
        for t in threads:
            t.join()
        self.assertEqual(sorted(a[0] for a in answers), [200, 503, 503])
        self.assertEqual(sandboxes(), 0)

    def test_second_signal_hurries(self):
        s = Server({"server": {"shutdownGraceMs": 60000}}).wait()
        t = threading.Thread(target=lambda: s.run("sleep 300"))
        t.start()
        until(lambda: s.metric("isol8_executing") == 1)
        s.process.send_signal(signal.SIGINT)
        until(lambda: "Shutting down" in s.said())
        self.assertEqual(s.stop(signal.SIGINT, 10), 0)
        t.join()

    def test_term_under_load(self):
        s = Server({"server": {"shutdownGraceMs": 1000}}).wait()
        load = Load(s)
        until(lambda: load.answers.count(200) > 20)
        self.assertEqual(s.stop(), 0)
        load.stop()
        self.assertEqual(set(load.answers) - {200, 503, None}, set())
        self.assertEqual(sandboxes(), 0)

    def test_kill_under_load_then_a_clean_start(self):
        s = Server().wait()
        load = Load(s)
        until(lambda: load.answers.count(200) > 20)
        s.stop(signal.SIGKILL)
        load.stop()
        self.assertGreater(sandboxes(), 0)
        s = Server().wait()
        self.assertEqual(s.run("echo 1")[1]["stdout"], "1")
        self.assertEqual(s.json("GET", "/sessions")[1], {"sessions": []})
        until(lambda: sandboxes() <= 1, what="the removal of what the first left")
        self.assertEqual(s.stop(), 0)
        self.assertEqual(sandboxes(), 0)


if __name__ == "__main__":
    unittest.main()
