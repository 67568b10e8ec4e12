# SPDX-License-Identifier: Apache-2.0
"""origin.py CERT KEY [ADDRESS] - test servers on loopback, until standard input ends.

Prints their ports on one line: HTTP, HTTPS, a TCP service that speaks first, and a tiny upstream
proxy that only knows CONNECT. With ADDRESS, HTTP is served on its port 80 as well. Everything is HTTP/1.1 with keep-alive, so that framing matters.
"""
import http.server
import socket
import socketserver
import ssl
import sys
import threading


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        if self.path == "/page":
            self.answer(b"<html><title>Test page</title><a href='/next'>next</a></html>",
                        Content_Type="text/html")
        elif self.path == "/big":
            self.answer(b"x" * (20 << 20))
        elif self.path == "/none":
            self.send_response(204)
            self.end_headers()
        elif self.path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"one ", b"two ", b"three"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.answer(("%s %s" % (self.headers.get("Host"), self.path)).encode())

    do_HEAD = do_GET

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            n = 0
            while True:
                size = int(self.rfile.readline(), 16)
                n += len(self.rfile.read(size))
                self.rfile.readline()
                if size == 0:
                    break
        else:
            n = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.answer(b"got %d" % n)

    def log_message(self, *args):
        pass


class Greeter(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"SSH-2.0-test\r\n")
        line = self.request.makefile("rb").readline()
        self.request.sendall(b"you said " + line)


class Proxy(socketserver.StreamRequestHandler):
    def handle(self):
        target = self.rfile.readline().split()[1].decode()
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        self.wfile.write(b"HTTP/1.1 200 ok\r\n\r\n")
        self.rfile.readline()
        body = ("via proxy to " + target).encode()
        self.wfile.write(b"HTTP/1.1 200 ok\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def serve(server):
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer.request_queue_size = 128
here = ("127.0.0.1", 0)
web = serve(http.server.ThreadingHTTPServer(here, Web))
secure = http.server.ThreadingHTTPServer(here, Web)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
ports = (web, serve(secure), serve(socketserver.ThreadingTCPServer(here, Greeter)),
         serve(socketserver.ThreadingTCPServer(here, Proxy)))
if len(sys.argv) > 3:
    serve(http.server.ThreadingHTTPServer((sys.argv[3], 80), Web))
print(*ports, flush=True)
sys.stdin.read()
