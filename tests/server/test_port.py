# SPDX-License-Identifier: Apache-2.0
"""test_port.py - a busy port: an error for scripts, a question on a terminal."""
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
import unittest

from harness import KEY, Server, free_port

ISOL8 = os.environ["ISOL8"]
MENU = "Choose: [1] Enter another port  [2] Find an available port  [3] Exit (default: 2): "
ASK = "Enter port (1-65535): "


class Terminal:
    """isol8 serve on a terminal of its own; its errors come the same way, as a user sees them."""

    def __init__(self, config, port, command=(ISOL8, "serve")):
        self.master, slave = pty.openpty()
        self.said = ""

        def own_terminal():
            os.setsid()
            os.close(os.open(os.ttyname(0), os.O_RDWR))  # becomes the controlling one
        self.process = subprocess.Popen(
            [*command, "--port", str(port), "--config", config], stdin=slave, stdout=slave,
            stderr=slave, preexec_fn=own_terminal, env=dict(os.environ, ISOL8_API_KEY=KEY))
        os.close(slave)

    def read(self, timeout):
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            got = os.read(self.master, 4096)
        except OSError:  # nobody has the other end any more
            got = b""
        self.said += got.decode().replace("\r\n", "\n")
        return bool(got)

    def expect(self, text, seconds=30):
        """Everything up to @text, which is taken off."""
        end = time.monotonic() + seconds
        while text not in self.said:
            if not self.read(max(0.0, end - time.monotonic())):
                raise AssertionError(f"{text!r} did not come: {self.said!r}")
        before, self.said = self.said.split(text, 1)
        return before

    def type(self, line):
        os.write(self.master, line.encode() + b"\n")
        self.expect(line + "\n")  # the terminal's echo

    def end(self):
        code = self.process.wait(60)
        while self.read(0):
            pass
        os.close(self.master)
        return code


class BusyPort(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().wait()
        cls.warning = f"[WARN] Port {cls.s.port} is already in use.\n"

    @classmethod
    def tearDownClass(cls):
        assert cls.s.stop() == 0, cls.s.said()

    def start(self, **more):
        t = Terminal(self.s.config, self.s.port, **more)
        self.assertEqual(t.expect(MENU), self.warning)
        return t

    def stop(self, t, port):
        self.assertEqual(t.expect("\n"), f"[INFO] isol8 server v{self.version()} listening on "
                                         f"http://localhost:{port}")
        with socket.create_connection(("127.0.0.1", port)) as c:
            c.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            self.assertIn(b"200 OK", c.recv(1000))
        t.process.send_signal(signal.SIGTERM)
        self.assertEqual(t.end(), 0)

    @staticmethod
    def version():
        return subprocess.run([ISOL8, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    def test_scripts_get_an_error(self):
        for command in [None, [ISOL8, "serve"]]:
            other = Server(port=self.s.port, command=command)
            self.assertEqual(other.process.wait(20), 1)
            self.assertEqual(other.said(), f"[ERR] Port {self.s.port} is already in use\n")
            other.stop()

    def test_half_a_terminal_is_none(self):
        r = subprocess.run(["script", "-qec", f"{ISOL8} serve --port {self.s.port} --config "
                            f"{self.s.config} </dev/null", "/dev/null"], capture_output=True,
                           text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
                           env=dict(os.environ, ISOL8_API_KEY=KEY, SHELL="/bin/sh"))
        self.assertEqual((r.returncode, r.stdout.strip()),
                         (1, f"[ERR] Port {self.s.port} is already in use"))

    def test_available_port(self):
        for line in ["2", "", "  2 "]:
            t = self.start()
            t.type(line)
            said = t.expect("\n")
            self.assertRegex(said, r"^\[INFO\] Using available port \d+$")
            port = int(re.findall(r"\d+$", said)[0])
            self.assertNotEqual(port, self.s.port)
            self.stop(t, port)

    def test_another_port(self):
        t = self.start()
        t.type("1")
        self.assertEqual(t.expect(ASK), "")
        t.type("")  # the menu again
        self.assertEqual(t.expect(MENU), "")
        for wrong in ["0", "65536", "12x", "-1"]:
            t.type("1")
            t.expect(ASK)
            t.type(wrong)
            self.assertEqual(t.expect(MENU), f"[ERR] Invalid port: {wrong}. Expected 1-65535.\n")
        t.type("1")
        t.expect(ASK)
        t.type(str(self.s.port))  # also taken
        self.assertEqual(t.expect(MENU), self.warning)
        port = free_port()
        t.type("1")
        t.expect(ASK)
        t.type(str(port))
        self.stop(t, port)

    def test_exit(self):
        t = self.start()
        for wrong in ["4", "x", "22"]:
            t.type(wrong)
            self.assertEqual(t.expect(MENU), "[ERR] Invalid selection. Enter 1, 2, or 3.\n")
        t.type("3")
        self.assertEqual(t.end(), 1)
        self.assertEqual(t.said, "[ERR] Server startup cancelled.\n")

    def test_end_of_input_and_interrupt(self):
        for key in [b"\x04", b"\x03"]:
            t = self.start()
            os.write(t.master, key)
            self.assertEqual(t.end(), 1)
            self.assertTrue(t.said.endswith("[ERR] Server startup cancelled.\n"), t.said)


if __name__ == "__main__":
    unittest.main()
