# SPDX-License-Identifier: Apache-2.0
"""test_remote.py - codeUrl does not map the network that the server stands in."""
import unittest

from harness import ServerCase

TEXT = "Code URL host is blocked, unknown or cannot be reached: {}"


class Remote(ServerCase):
    config = {"remoteCode": {"enabled": True, "allowedSchemes": ["https", "http"],
                             "blockedHosts": [r"^blocked\.example$"]},
              "network": {"hosts": {"inner.example": "10.9.8.7", "closed.example": "127.0.0.1",
                                    "mixed.example": ["127.0.0.1", "169.254.169.254"]},
                          "allowAddresses": ["127.0.0.1"], "ports": [80, 443, 1]}}
    hosts = ["blocked.example", "inner.example", "mixed.example", "no-such-host.invalid", "10.0.0.1",
             "169.254.169.254", "[::1]", "closed.example:1"]

    def ask(self, url, path="/execute"):
        body = {"request": {"runtime": "bash", "codeUrl": url, "allowInsecureCodeUrl": True}}
        return self.s.call("POST", path, body)

    def test_one_answer(self):
        for host in self.hosts:
            for scheme in ["https", "http"]:
                status, headers, data = self.ask(f"{scheme}://{host}/x")
                text = TEXT.format(host.split(":1")[0] if host.startswith("closed") else host)
                self.assertEqual((status, data.decode()), (403, f'{{"error":"{text}"}}'))
                self.assertEqual({k for k, _ in headers.items()},
                                 {"Date", "Content-Length", "Content-Type"})
                _, _, data = self.ask(f"{scheme}://{host}/x", "/execute/stream")
                self.assertEqual(data.decode(), f'data: {{"type":"error","data":"{text}"}}\n\n')

    def test_ports_are_refused_alike(self):
        answers = {self.ask(f"https://{host}:77/x")[::2] for host in self.hosts[:7]}
        self.assertEqual(answers, {(403, b'{"error":"Blocked code URL port: 77 is neither 80 or 443 '
                                         b'nor in network.ports"}')})

    def test_the_operator_is_told(self):
        for host, why in [("blocked.example", "Blocked code URL host: blocked.example"),
                          ("inner.example", "Blocked code URL host: inner.example"),
                          ("no-such-host.invalid", "Failed to resolve code URL host: no-such"),
                          ("closed.example:1", "Failed to fetch remote code: ")]:
            self.ask(f"https://{host}/x")
            self.assertIn(f"[WARN] remote: no code from host='{host.split(':')[0]}' why='{why}",
                          self.s.said())


if __name__ == "__main__":
    unittest.main()
