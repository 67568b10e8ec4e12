# SPDX-License-Identifier: Apache-2.0
"""test_metrics.py - what /metrics says, read by a strict parser: form, counts, the proxy's part."""
import http.server
import re
import threading
import unittest

from harness import ServerCase

SAMPLE = re.compile(r'([a-z_][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
SUFFIXES = {"histogram": ["_bucket", "_sum", "_count"], "counter": [""], "gauge": [""]}


def parse(text):
    """Family -> {(name, labels): value}; an AssertionError for what the format does not allow."""
    assert text.endswith("\n")
    kinds, samples, family = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family, said = line[7:].split(" ", 1)
            assert family not in kinds and said, line  # all of a family stands together
            kinds[family] = None
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == family and kinds[name] is None and kind in SUFFIXES, line
            kinds[name] = kind
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            name, labels, value = found.groups()
            assert name in [family + s for s in SUFFIXES[kinds[family]]], line
            key = (name, tuple(LABEL.findall(labels or "")))
            assert key not in samples, line
            samples[key] = float(value)
    assert all(kinds.values()), kinds
    return kinds, samples


def check_histogram(samples, name):
    series = {}
    for (n, labels), value in samples.items():
        if n == name + "_bucket":
            rest = tuple(x for x in labels if x[0] != "le")
            series.setdefault(rest, []).append((dict(labels)["le"], value))
    assert series
    for labels, buckets in series.items():
        steps = [float(le.replace("+Inf", "inf")) for le, _ in buckets]
        counts = [n for _, n in buckets]
        assert steps == sorted(set(steps)) and counts == sorted(counts), buckets
        assert buckets[-1][0] == "+Inf" and counts[-1] == samples[name + "_count", labels], buckets
        assert samples[name + "_sum", labels] >= 0
    return series


class Origin(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5000")
        self.end_headers()
        self.wfile.write(b"x" * 5000)

    def log_message(self, *args):
        pass


class Metrics(ServerCase):
    config = {"network": {"hosts": {"good.example": "127.0.0.1", "bad.example": "127.0.0.1",
                                    "inner.example": "10.1.2.3"},
                          "allowAddresses": ["127.0.0.1"], "blacklist": [r"^bad\.example$"],
                          "whitelist": [r"\.example$"]}}

    def metrics(self):
        _, headers, text = self.s.call("GET", "/metrics")
        self.assertEqual(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        return parse(text.decode())

    def test_form_and_families(self):
        self.s.run("echo 1")
        self.s.run("exit 3")
        self.s.run("echo 1", session="m")
        self.s.call("GET", "/nix")
        kinds, samples = self.metrics()
        for name, kind in {
                "build_info": "gauge", "ready": "gauge", "connections": "gauge",
                "executing": "gauge", "queued": "gauge", "sessions": "gauge",
                "resident_memory_bytes": "gauge", "pool_ready": "gauge", "pool_kinds": "gauge",
                "pool_hits_total": "counter", "pool_misses_total": "counter",
                "proxy_decisions_total": "counter", "proxy_bytes_total": "counter",
                "executions_total": "counter", "execution_seconds": "histogram",
                "http_responses_total": "counter"}.items():
            self.assertEqual(kinds.get("isol8_" + name), kind, name)
        self.assertTrue(all(v >= 0 for v in samples.values()))
        self.assertEqual(samples["isol8_sessions", ()], 1)
        self.assertEqual(samples["isol8_ready", ()], 1)
        self.assertGreater(samples["isol8_resident_memory_bytes", ()], 1 << 20)
        self.assertLess(samples["isol8_resident_memory_bytes", ()], 1 << 30)
        runs = {dict(k[1])["verdict"]: v for k, v in samples.items()
                if k[0] == "isol8_executions_total" and dict(k[1])["runtime"] == "bash"}
        self.assertGreaterEqual(runs["ok"], 2)
        self.assertGreaterEqual(runs["exit"], 1)
        phases = check_histogram(samples, "isol8_execution_seconds")
        self.assertEqual({dict(p)["phase"] for p in phases}, {"queue", "stage", "run", "total"})
        self.assertEqual(samples["isol8_execution_seconds_count", (("phase", "total"),)],
                         sum(v for k, v in samples.items() if k[0] == "isol8_executions_total"))
        self.s.json("DELETE", "/session/m")

    def decisions(self):
        _, samples = self.metrics()
        return {tuple(v for _, v in labels): n for (name, labels), n in samples.items()
                if name == "isol8_proxy_decisions_total"}

    def test_proxy_decisions(self):
        origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        threading.Thread(target=origin.serve_forever, daemon=True).start()
        port = origin.server_address[1]
        before = self.decisions()
        _, samples = self.metrics()
        moved = samples["isol8_proxy_bytes_total", (("direction", "in"),)]
        ask = ("exec 3<>/dev/tcp/198.18.0.1/8118; printf \"$1 HTTP/1.1\\r\\nHost: $2:$3\\r\\n"
               "Connection: close\\r\\n\\r\\n\" >&3; head -1 <&3; exec 3>&-; ")
        code = f"ask() {{ {ask} }}\n"
        for host in ["good.example", "bad.example", "inner.example", "other.test"]:
            code += f"ask 'GET http://{host}:{port}/' {host} {port}\n"
        code += f"ask 'CONNECT bad.example:{port}' bad.example {port}\n"
        code += f"(exec 3<>/dev/tcp/good.example/{port}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3 >/dev/null)\n"
        code += f"(exec 3<>/dev/tcp/bad.example/{port}) 2>/dev/null\n"
        status, j = self.s.run(code, options={"network": "filtered"})
        origin.shutdown()
        origin.server_close()
        self.assertEqual(status, 200)
        said = [line.split()[1] for line in j["stdout"].splitlines() if line.startswith("HTTP/")]
        self.assertEqual(said, ["200", "403", "403", "403", "403"], j)
        got = {k: n - before.get(k, 0) for k, n in self.decisions().items()}
        for key, n in {("http", "allowed"): 1, ("http", "denied"): 1, ("http", "address"): 1,
                       ("http", "not_allowed"): 1, ("connect", "denied"): 1, ("tcp", "allowed"): 1,
                       ("tcp", "denied"): 0, ("connect", "allowed"): 0}.items():
            self.assertEqual(got[key], n, (key, got))
        self.assertGreaterEqual(got["dns", "allowed"], 1)
        self.assertGreaterEqual(got["dns", "denied"], 1)
        _, samples = self.metrics()
        self.assertGreaterEqual(samples["isol8_proxy_bytes_total", (("direction", "in"),)] - moved, 10000)


if __name__ == "__main__":
    unittest.main()
