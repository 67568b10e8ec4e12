# SPDX-License-Identifier: Apache-2.0
"""code_origin.py DIR - hosts that code is fetched from, until standard input ends.

DIR has the certificates of make_code_certs.sh. Prints their ports on one line: HTTPS, HTTP, then
HTTPS with a certificate that is expired, of another name, of an unknown authority, an upstream
proxy that knows CONNECT, and HTTPS on IPv6. What a path does is in the table at the end of Code.
"""
import collections
import gzip
import http.server
import select
import socket
import socketserver
import ssl
import sys
import threading
import time
import urllib.parse

HELLO = b"print('hello from afar')\n"
counts = collections.Counter()
lock = threading.Lock()


def number(rest):
    return int(rest.partition("/")[0])


class Code(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self, **headers):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def redirect(self, rest):
        status, _, to = rest.partition("/")
        self.answer(b"elsewhere", int(status), Location=urllib.parse.unquote(to))

    def hops(self, rest):
        n = number(rest)
        self.answer(b"", 302, Location="/hops/%d" % (n - 1)) if n > 0 else self.answer(HELLO)

    def trickle(self, _):
        self.begin(Content_Type="text/plain")
        for _ in range(3000):
            self.wfile.write(b"#")
            time.sleep(0.02)

    def endless(self, _):
        self.begin()
        while True:
            self.wfile.write(b"# and on and on\n" * 4096)

    def stall(self, _):
        self.begin(Content_Length="10")
        self.wfile.flush()
        time.sleep(60)

    def head(self, _):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X-More: " + b"x" * 1000 + b"\r\n")

    def pause(self, rest):
        time.sleep(number(rest) / 1000)
        self.answer(HELLO)

    def slow(self, rest):
        n = number(rest)
        self.begin(Content_Length=str(n))
        for _ in range(10):
            self.wfile.write(b"#" * (n // 10 - 1) + b"\n")
            time.sleep(0.15)

    def chunked(self, _):
        self.begin(Transfer_Encoding="chunked")
        for part in (b"print(", b"'in parts'", b")\n"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def short(self, _):
        self.answer(HELLO, length=1000, Connection="close")
        self.close_connection = True

    def bomb(self, _):
        self.answer(gzip.compress(b"#" * (64 << 20)), Content_Encoding="gzip")

    def echo(self, _):
        lines = ["print(%r)" % ("%s: %s" % h) for h in self.headers.items()]
        self.answer(("\n".join(lines) + "\n").encode(), Set_Cookie="a=b; Path=/")

    def jar(self, _):
        self.answer(b"", 302, Location="/echo/x.py", Set_Cookie="a=b; Path=/")

    table = {
        "ok": lambda self, _: self.answer(HELLO),
        "path": lambda self, _: self.answer(("print(%r)\n" % self.path).encode()),
        "file": lambda self, _: self.answer(b"print(__file__)\n"),
        "size": lambda self, rest: self.answer(b"#" * (number(rest) - 1) + b"\n"),
        "nolength": lambda self, rest: (self.begin(), self.wfile.write(b"#" * number(rest))),
        "status": lambda self, rest: self.answer(b"no code", number(rest)),
        "none": lambda self, rest: (self.send_response(number(rest)), self.end_headers()),
        "redirect": redirect,
        "nowhere": lambda self, _: self.answer(b"", 302),
        "hops": hops,
        "loop": lambda self, _: self.answer(b"", 302, Location="/loop"),
        "trickle": trickle,
        "endless": endless,
        "stall": stall,
        "head": head,
        "pause": pause,
        "chunked": chunked,
        "slow": slow,
        "short": short,
        "long": lambda self, _: self.answer(HELLO + b"print('more')\n", length=len(HELLO)),
        "gzip": lambda self, _: self.answer(gzip.compress(HELLO), Content_Encoding="gzip"),
        "badgzip": lambda self, _: self.answer(b"\x1f\x8b" + HELLO, Content_Encoding="gzip"),
        "bomb": bomb,
        "latin": lambda self, _: self.answer(b"print('\xe4')\n"),
        "nul": lambda self, _: self.answer(b"print('a\0b')\n"),
        "bom": lambda self, _: self.answer(b"\xef\xbb\xbf" + HELLO),
        "empty": lambda self, _: self.answer(b""),
        "echo": echo,
        "jar": jar,
        "bash": lambda self, _: self.answer(b"echo \"$0\"\n"),
        "js": lambda self, _: self.answer(b"console.log(require('path').basename(__filename))\n"),
    }

    def do_GET(self):
        kind, _, rest = self.path.lstrip("/").partition("/")
        if kind == "count":
            self.answer(b"%d" % counts["/" + rest])
            return
        with lock:
            counts[self.path] += 1
        self.table.get(kind, lambda s, _: s.answer(b"no code", 404))(self, rest)

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # the other side had enough

    def log_message(self, *args):
        pass


class Proxy(socketserver.StreamRequestHandler):
    """Names lead to the loopback address, whatever they are, and port 443 to our own HTTPS."""

    def handle(self):
        target = self.rfile.readline().split()[1].decode()
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        with lock:
            counts["/proxy/" + target] += 1
        port = int(target.rpartition(":")[2])
        there = socket.create_connection(("127.0.0.1", ports[0] if port == 443 else port))
        self.wfile.write(b"HTTP/1.1 200 ok\r\n\r\n")
        ends = {self.connection: there, there: self.connection}
        while True:
            for end in select.select(list(ends), [], [])[0]:
                data = end.recv(65536)
                if not data:
                    return
                ends[end].sendall(data)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


class Server6(Server):
    address_family = socket.AF_INET6


def serve(server):
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def secure(name, kind=Server, address="127.0.0.1", port=0):
    server = kind((address, port), Code)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("%s/%s.pem" % (sys.argv[1], name), "%s/host.key" % sys.argv[1])
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    return serve(server)


socketserver.TCPServer.allow_reuse_address = True
ports = (secure("good"), serve(Server(("127.0.0.1", 0), Code)), secure("expired"), secure("wrong"),
         secure("unknown"), serve(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy)),
         secure("good", Server6, "::1"))
print(*ports, flush=True)
sys.stdin.read()
