# SPDX-License-Identifier: Apache-2.0
"""egress_client.py TRICK HTTP HTTPS TCP - runs in a filtered sandbox and tries to get out.

Prints one line a try; tests/cli/egress.bats knows what each must say.
"""
import os
import re
import socket
import ssl
import sys
from urllib.parse import urlparse

HTTP, HTTPS, TCP = (int(p) for p in sys.argv[2:5])
PROXY = urlparse(os.environ["HTTP_PROXY"])


def connect(host, port):
    s = socket.create_connection((host, port), 15)
    s.settimeout(15)
    return s


def proxy():
    return connect(PROXY.hostname, PROXY.port)


def read_all(s):
    data = b""
    try:
        while True:
            got = s.recv(65536)
            if not got:
                break
            data += got
    except OSError:
        pass
    return data


def statuses(data):
    return [int(c) for c in re.findall(rb"HTTP/1\.[01] (\d+)", data)]


def ask(raw, s=None):
    """Send bytes to the proxy (or @s), return the status codes of what comes back."""
    s = s or proxy()
    try:
        s.sendall(raw)
    except OSError:
        return []
    return statuses(read_all(s))


def get(host, port=None, extra=b"", host_header=None):
    host = host if isinstance(host, bytes) else host.encode()
    at = host + b":%d" % (port or HTTP)
    return (b"GET http://" + at + b"/ HTTP/1.1\r\nHost: " + (host_header or at) + b"\r\n" + extra +
            b"Connection: close\r\n\r\n")


def first(codes):
    return codes[0] if codes else "closed"


def resolves(name):
    try:
        return socket.gethostbyname(name)
    except OSError:
        return None


def yes(flag):
    return "yes" if flag else "no"


def trick_case():
    for name in "API.TEST", "api.test.", "OTHER.TEST", "other.test.":
        print("explicit", name, first(ask(get(name))))
    for name in "API.TEST", "api.test.", "OTHER.TEST", "other.test.":
        print("dns", name, yes(resolves(name)))


def trick_control():
    for name in (b"api.te\0st", b"api.test\0.evil", b"api.test\t", b"api test", b"api.test\x7f",
                 b"api..test", b".api.test", b"api.test\rX", b"a" * 64 + b".test", b"-" * 254):
        codes = ask(get(name))
        print("refused" if 200 not in codes else "let through %r" % name)


def trick_idna():
    print(first(ask(get("xn--bcher-kva.test"))))
    print(first(ask(get("b\u00fccher.test".encode()))))
    print(first(ask(get("b\u00fccherei.test".encode()))))


def trick_userinfo():
    for authority in (b"api.test@other.test", b"api.test:80@other.test", b"api.test%40other.test",
                      b"other.test#@api.test", b"other.test\\@api.test"):
        print(first(ask(b"GET http://" + authority + b":%d/ HTTP/1.1\r\nHost: api.test\r\n"
                        b"Connection: close\r\n\r\n" % HTTP)))


def trick_addresses():
    v4 = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "10.0.0.1",
          "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "198.18.0.1",
          "224.0.0.1", "255.255.255.255"]
    v6 = ["::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::a00:1", "2002:a00:1::1",
          "2001:0:4136:e378:8000:63bf:f5ff:fffe", "fe80::1", "fc00::1", "::127.0.0.1", "::"]
    for host in v4 + ["[%s]" % a for a in v6]:
        print(host, first(ask(get(host))))


def trick_resolve():
    for name in "inner.test", "mixed.test":
        print("explicit", name, first(ask(get(name))))
    for name in "inner.test", "mixed.test":
        try:
            s = connect(name, HTTP)
            ok = 200 in ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", s)
        except OSError:
            ok = False
        print("intercepted", name, yes(ok))


def hello_gets_through(s, name, piece):
    """Do a TLS handshake by hand, its first message sent in pieces."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while True:
            try:
                tls.do_handshake()
                s.sendall(outgoing.read())
                return True
            except ssl.SSLWantReadError:
                data = outgoing.read()
                for i in range(0, len(data), piece):
                    s.sendall(data[i:i + piece])
                got = s.recv(65536)
                if not got:
                    return False
                incoming.write(got)
    except (OSError, ssl.SSLError):
        return False


def tunnel(host, port):
    s = proxy()
    s.sendall(b"CONNECT %s:%d HTTP/1.1\r\nHost: %s\r\n\r\n" % (host.encode(), port, host.encode()))
    head = b""
    while b"\r\n\r\n" not in head:
        got = s.recv(1)
        if not got:
            raise OSError("no tunnel")
        head += got
    if statuses(head) != [200]:
        raise OSError("no tunnel")
    return s


def trick_sni():
    for way, opened in ("explicit", tunnel), ("intercepted", connect):
        for name in "api.test", "other.test":
            for piece in 1000, 1:
                print(way, name, piece, yes(hello_gets_through(opened("api.test", HTTPS), name,
                                                               piece)))


def trick_host():
    print("explicit differs", yes(200 in ask(get("api.test", host_header=b"other.test"))))
    line = b"GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n"
    close = b"Connection: close\r\n"
    print("intercepted right", yes(ask(line % (b"web.test", close), connect("web.test", 80)) == [200]))
    print("intercepted wrong", yes(200 in ask(line % (b"other.test", close),
                                              connect("web.test", 80))))
    s = connect("web.test", 80)
    s.sendall(line % (b"web.test", b""))
    s.recv(65536)
    print("intercepted second", yes(200 in ask(line % (b"other.test", close), s)))


def trick_smuggle():
    bad = (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
           b"Content-Length: +3\r\n\r\nabc",
           b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
           b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
           b"X: a\r\n folded\r\n\r\n",
           b"X: a\nY: b\r\n\r\n",
           b"X: a\0b\r\n\r\n",
           b"X: " + b"a" * 70000 + b"\r\n\r\n")
    for way in "explicit", "intercepted":
        for tail in bad:
            if way == "explicit":
                codes = ask(b"POST http://api.test:%d/ HTTP/1.1\r\nHost: api.test:%d\r\n" %
                            (HTTP, HTTP) + tail)
            else:
                codes = ask(b"POST / HTTP/1.1\r\nHost: web.test\r\n" + tail, connect("web.test", 80))
            print(way, "refused" if 200 not in codes else "let through %r" % tail[:40])


def trick_halfclose():
    for way, opened in ("explicit", tunnel), ("intercepted", connect):
        s = opened("api.test", TCP)
        s.recv(100)
        s.sendall(b"bye\n")
        s.shutdown(socket.SHUT_WR)
        print(way, read_all(s).strip().decode())


def trick_stalled():
    hold = []
    for _ in range(20):
        s = proxy()
        s.sendall(get("api.test").replace(b":%d/ " % HTTP, b":%d/big " % HTTP))
        hold.append(s)
    for _ in range(100):
        s = proxy()
        s.sendall(b"GET http://api.te")
        hold.append(s)
    print(first(ask(get("api.test"))))


def trick_slow():
    """A byte every half second: the deadline is for the whole head, not for the next byte."""
    ways = [("explicit", proxy(), get("api.test")),
            ("intercepted", connect("web.test", 80), b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")]
    cut = set()
    for i in range(100):
        for way, s, head in ways:
            try:
                s.settimeout(0.25)
                s.sendall(b"x" if i >= len(head) - 4 else head[i:i + 1])
                if 200 in statuses(s.recv(1000)):
                    print(way, "served")
                cut.add(way)
            except TimeoutError:
                pass
            except OSError:
                cut.add(way)
        if len(cut) == 2:
            break
    for way, _, _ in ways:
        print(way, "cut" if way in cut else "still open")


def refused(what, fn):
    try:
        fn()
        print(what, "went out")
    except TimeoutError:
        print(what, "vanished")
    except OSError:
        print(what, "refused")


def udp(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(10)
    s.connect(("192.0.2.1", port))
    s.send(b"\xc0" + b"\0" * 1199)
    s.recv(1)


def trick_protocols():
    refused("udp", lambda: udp(9))
    refused("quic", lambda: udp(443))
    refused("icmp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP))
    refused("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP))
    refused("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    refused("ipv6", lambda: socket.create_connection(("2001:db8::1", 443), 10))
    refused("linklocal", lambda: socket.create_connection(("fe80::1%eth0", 80), 10))


def trick_source():
    """IP_FREEBIND lets anybody claim an address; the answers go to its owner, if there is one."""
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.IPPROTO_IP, 15, 1)
    s.settimeout(3)
    try:
        s.bind(("10.88.0.6", 0))
        s.connect((PROXY.hostname, PROXY.port))
        s.sendall(get("api.test"))
        print(s.recv(100))
    except OSError:
        print("nothing")


globals()["trick_" + sys.argv[1]]()
