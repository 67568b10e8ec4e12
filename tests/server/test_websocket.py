# SPDX-License-Identifier: Apache-2.0
"""test_websocket.py - GET /execute/ws, by clients that keep to the protocol."""
import json
import signal
import threading
import time
import unittest

from harness import KEY, Server, ServerCase, alive, sandboxes, until
from ws import CLOSE, PING, PONG, TEXT, Refused, WebSocket, text_of


class Handshake(ServerCase):
    def refused(self, **headers):
        with self.assertRaises(Refused) as e:
            WebSocket(self.s.port, headers=headers)
        return e.exception

    def test_sample_of_the_rfc(self):
        w = WebSocket(self.s.port, headers={"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        self.assertIn("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", w.head)
        self.assertIn("Upgrade: websocket", w.head)
        self.assertNotIn("Sec-WebSocket-Extensions", w.head)
        self.assertNotIn("Sec-WebSocket-Protocol", w.head)

    def test_keys(self):
        for key, status, text in [(None, 401, b"Missing Authorization header"), ("wrong", 403, b"Invalid API key")]:
            with self.assertRaises(Refused) as e:
                WebSocket(self.s.port, key=key)
            self.assertEqual(e.exception.status, status)
            self.assertIn(text, e.exception.body)

    def test_what_is_no_handshake(self):
        self.assertEqual(self.s.call("GET", "/execute/ws")[::2], (404, b"404 Not Found"))
        self.assertEqual(self.s.call("HEAD", "/execute/ws", headers={"Upgrade": "websocket", "Connection": "upgrade"})[0], 404)
        self.assertEqual(self.s.call("POST", "/execute/ws")[0], 404)
        self.assertEqual(self.refused(Upgrade="h2c").status, 404)
        self.assertEqual(self.refused(Connection="keep-alive").status, 404)
        e = self.refused(**{"Sec-WebSocket-Version": "8"})
        self.assertEqual(e.status, 426)
        self.assertIn("Sec-WebSocket-Version: 13", e.head)
        for key in [None, "", "abc", "A" * 24, "dGhlIHNhbXBsZSBub25jZQ"]:
            e = self.refused(**{"Sec-WebSocket-Key": key})
            self.assertEqual(e.status, 400, key)
            self.assertEqual(json.loads(e.body)["field"], "Sec-WebSocket-Key")

    def test_words_in_any_case_and_in_lists(self):
        w = WebSocket(self.s.port, headers={"Upgrade": "WebSocket", "Connection": "keep-alive, UPGRADE",
                                            "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"})
        w.execute("echo 1")
        self.assertEqual(w.rest()[1], (1000, "Execution complete"))

    def test_switched_off(self):
        s = Server({"server": {"webSocket": False}}).wait()
        try:
            with self.assertRaises(Refused) as e:
                WebSocket(s.port)
            self.assertEqual(e.exception.status, 404)
            self.assertEqual(s.events("echo 1")[2][-1]["data"], "0")
        finally:
            s.stop()


class Talk(ServerCase):
    config = {"maxConcurrent": 4, "server": {"maxMessageSize": 1 << 20}}

    def open(self, **more):
        return WebSocket(self.s.port, **more)

    def tearDown(self):
        until(lambda: self.s.metric("isol8_executing") == 0, what="the end of all executions")

    def test_events_and_close(self):
        w = self.open()
        w.execute("echo out; echo err >&2; exit 3")
        events, close = w.rest()
        self.assertEqual(close, (1000, "Execution complete"))
        self.assertEqual((text_of(events), text_of(events, "stderr")), ("out\n", "err\n"))
        self.assertEqual(events[-1], {"type": "exit", "data": "3", "phase": "code"})

    def test_same_events_as_sse(self):
        code = "printf 'a\\xff\\303'; sleep .1; printf '\\244b'; exit 1"
        w = self.open()
        w.execute(code, setupScript="echo set up")
        _, _, sse = self.s.events(code, setupScript="echo set up")
        self.assertEqual(w.rest()[0], sse)

    def test_sent_together_with_the_handshake(self):
        from ws import frame
        message = {"type": "execute", "request": {"runtime": "bash", "code": "echo early"}}
        w = self.open(early=frame(TEXT, json.dumps(message).encode()))
        self.assertEqual(text_of(w.rest()[0]), "early\n")

    def test_session(self):
        for code, out in [("echo kept >f", ""), ("cat f", "kept\n")]:
            w = self.open()
            w.execute(code, session="ws-1")
            events, _ = w.rest()
            self.assertEqual((text_of(events), events[-1]["data"]), (out, "0"))
        self.assertEqual(self.s.run("cat f", session="ws-1")[1]["stdout"], "kept")
        self.assertEqual(self.s.json("DELETE", "/session/ws-1")[0], 200)

    def test_errors_are_events(self):
        for message, text in [
                ({"type": "execute"}, "request: is required"),
                ({"type": "execute", "request": {"runtime": "cobol", "code": "x"}}, 'Unknown runtime: "cobol"'),
                ({"type": "execute", "request": {"runtime": "bash", "code": "x", "timeoutMs": "soon"}}, "timeoutMs"),
                ({"type": "execute", "request": {"runtime": "bash", "code": "x"}, "options": {"network": "host"}}, "network"),
                ({"type": "execute", "request": {"runtime": "bash", "code": "x"}, "sessionId": "a/b"}, "sessionId")]:
            w = self.open()
            w.say(**message)
            events, close = w.rest()
            self.assertEqual(close, (1000, "Execution complete"))
            self.assertEqual([e["type"] for e in events], ["error"], message)
            self.assertIn(text, events[0]["data"])
            self.assertNotIn("phase", events[0])

    def test_unknown_messages_do_not_end_it(self):
        w = self.open()
        for raw, text in [(b'{"type":"dance"}', "Unknown message type: dance"), (b"{}", "Unknown message type: undefined"),
                          (b"null", "Unknown message type: undefined"), (b"[1]", "Unknown message type: undefined"),
                          (b'{"type":7}', "Unknown message type: 7"), (b'{"type":null}', "Unknown message type: null"),
                          (b'{"type":"stdin","data":"x"}', "stdin: nothing is being executed"),
                          (b'{"type":"signal","signal":"SIGINT"}', "signal: nothing is being executed"),
                          (b'{"type":"signal","signal":"SIGKILL"}', 'signal: expected "SIGINT" or "SIGTERM"'),
                          (b'{"type":"stdin","data":5}', "data: expected string"), (b'{"type":"stdin"}', "data: is required"),
                          (b'{"type":"stdin","data":"a","encoding":"rot13"}', "encoding"),
                          (b'{"type":"stdin","data":"a\\u0000b"}', "NUL")]:
            w.send(TEXT, raw)
            e = w.event()
            self.assertEqual(e["type"], "error", raw)
            self.assertIn(text, e["data"])
        w.execute("echo still here")
        self.assertEqual(text_of(w.rest()[0]), "still here\n")

    def test_what_is_no_json(self):
        for raw in [b"hello", b"", b"{", b'{"type":"execute"', b"[" * 100000]:
            w = self.open()
            w.send(TEXT, raw)
            events, close = w.rest()
            self.assertEqual(events, [{"type": "error", "data": "Invalid JSON message"}])
            self.assertEqual(close, (1003, "Invalid JSON"))

    def test_second_execute(self):
        w = self.open()
        w.execute("sleep .5; echo one")
        w.execute("echo two")
        events, close = w.rest()
        self.assertEqual(close[0], 1000)
        self.assertEqual(text_of(events), "one\n")
        self.assertEqual(sum(e["type"] == "error" for e in events), 1)

    def test_stdin(self):
        w = self.open()
        w.execute("while read -r line; do echo \"got $line\"; done; echo end", stdin=True)
        w.say(type="stdin", data="one\n")
        self.assertEqual(w.event()["data"], "got one\n")
        w.say(type="stdin", data="dHdvCg==", encoding="base64")
        self.assertEqual(w.event()["data"], "got two\n")
        w.say(type="stdin", data="three\n", end=True)
        self.assertEqual(text_of(w.rest()[0]), "got three\nend\n")

    def test_stdin_before_there_is_a_program(self):
        w = self.open()
        w.execute("wc -c", stdin=True)
        for _ in range(40):
            w.say(type="stdin", data="x" * 100000)
        w.say(type="stdin", end=True)
        self.assertEqual(text_of(w.rest()[0]).strip(), "4000000")

    def test_stdin_that_is_not_read_fills_nobodys_memory(self):
        """100 MB for a program that sleeps: the client's socket is full long before."""
        w = self.open()
        w.execute("sleep 3", stdin=True)
        w.s.settimeout(1)
        sent = 0
        try:
            for _ in range(1000):
                w.say(type="stdin", data="x" * 100000)
                sent += 100000
        except TimeoutError:
            pass
        self.assertLess(sent, 95 << 20)
        w.s.close()

    def test_stdin_is_closed_unless_opened(self):
        w = self.open()
        w.execute("cat; echo end; sleep 1")
        w.say(type="stdin", data="lost\n")
        events, _ = w.rest()
        self.assertEqual(text_of(events), "end\n")
        self.assertIn("openStdin", [e for e in events if e["type"] == "error"][0]["data"])

    def test_stdin_that_the_program_closed(self):
        w = self.open()
        w.execute("exec 0<&-; echo closed; sleep .5", stdin=True)
        self.assertEqual(w.event()["data"], "closed\n")
        w.say(type="stdin", data="x" * 200000)
        events, close = w.rest()
        self.assertEqual((events[-1]["data"], close[0]), ("0", 1000))

    def test_signals(self):
        for name, code in [("SIGINT", "130"), ("SIGTERM", "143")]:
            w = self.open()
            w.execute("echo here; exec sleep 20")
            self.assertEqual(w.event()["data"], "here\n")
            start = time.monotonic()
            w.say(type="signal", signal=name)
            events, close = w.rest()
            self.assertEqual((events[-1], close[0]), ({"type": "exit", "data": code, "phase": "code"}, 1000))
            self.assertLess(time.monotonic() - start, 5)

    def test_signal_that_is_handled(self):
        w = self.open()
        w.execute("trap 'echo bye; exit 7' TERM; echo here; while :; do sleep .1; done")
        self.assertEqual(w.event()["data"], "here\n")
        w.say(type="signal", signal="SIGTERM")
        events, _ = w.rest()
        self.assertEqual((text_of(events), events[-1]["data"]), ("bye\n", "7"))

    def test_signal_at_the_end(self):
        """The program has ended or is about to: its exit is still told."""
        for i in range(30):
            w = self.open()
            w.execute("echo x")
            w.event()
            time.sleep(i / 10000)
            w.say(type="signal", signal="SIGINT")
            events, close = w.rest()
            self.assertEqual((events[-1]["type"], close[0]), ("exit", 1000), events)

    def test_signal_in_the_queue(self):
        busy = [self.open() for _ in range(4)]
        for w in busy:
            w.execute("echo here; sleep 20")
            w.event()
        w = self.open()
        w.execute("echo never")
        until(lambda: self.s.metric("isol8_queued") == 1, what="the queue")
        w.say(type="signal", signal="SIGINT")
        events, close = w.rest()
        self.assertEqual([e["type"] for e in events], ["error"])
        self.assertEqual(close[0], 1000)
        for w in busy:
            w.s.close()

    def test_client_leaves(self):
        """By a close, by closing the socket, in the queue and while its program runs."""
        for how in ["close", "shut", "reset"]:
            w = self.open()
            mark = f"31{len(how)}.{ord(how[0])}"
            w.execute(f"echo here; exec sleep {mark}")
            w.event()
            self.assertTrue(alive(mark))
            if how == "close":
                w.send(CLOSE, b"\x03\xe8")
            elif how == "reset":
                import socket
                import struct
                w.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if how != "close":
                w.s.close()
            until(lambda: not alive(mark), 5, f"the program's end after {how}")

    def test_pings_are_answered(self):
        w = self.open()
        w.send(PING, b"abc")
        self.assertEqual(w.read(), (PONG, b"abc"))
        w.execute("sleep .2; echo 1")
        w.send(PING, b"def")
        self.assertEqual(w.read(), (PONG, b"def"))
        self.assertEqual(text_of(w.rest()[0]), "1\n")

    def test_fragments_with_a_ping_between(self):
        message = json.dumps({"type": "execute", "request": {"runtime": "bash", "code": "echo ä"}}).encode()
        w = self.open()
        w.send(TEXT, message[:10], fin=False)
        w.send(0, b"", fin=False)
        w.send(PING, b"x")
        w.send(0, message[10:11], fin=False)
        w.send(0, message[11:])
        self.assertEqual(w.read(), (PONG, b"x"))
        self.assertEqual(text_of(w.rest()[0]), "ä\n")

    def test_large_output(self):
        w = self.open()
        w.execute("head -c 20000000 /dev/zero | tr '\\0' x", {"maxOutputSize": 30000000})
        events, close = w.rest()
        self.assertEqual((len(text_of(events)), events[-1]["data"], close[0]), (20000000, "0", 1000))

    def test_many_at_once(self):
        wrong = []

        def one(i):
            w = self.open()
            w.execute(f"echo {i}")
            events, close = w.rest()
            if (text_of(events), close[0]) != (f"{i}\n", 1000):
                wrong.append((i, events, close))

        threads = [threading.Thread(target=one, args=(i,)) for i in range(50)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])


class Full(ServerCase):
    config = {"maxConcurrent": 1, "server": {"maxQueue": 0}}

    def test_full_queue(self):
        a = WebSocket(self.s.port)
        a.execute("echo here; sleep 20")
        a.event()
        b = WebSocket(self.s.port)
        b.execute("echo 1")
        events, close = b.rest()
        self.assertIn("busy", events[0]["data"])
        self.assertEqual(close[0], 1013)
        a.s.close()


class Stop(unittest.TestCase):
    def test_stop_under_way(self):
        """An idle client is told at once, one at work after the grace; nothing is left."""
        s = Server({"server": {"shutdownGraceMs": 500}}).wait()
        idle, busy = WebSocket(s.port), WebSocket(s.port)
        busy.execute("echo here; sleep 1000")
        busy.event()
        s.process.send_signal(signal.SIGTERM)
        events, close = busy.rest()
        self.assertEqual(events[-1], {"type": "error", "data": "The server is shutting down"})
        self.assertEqual(close[0], 1001)
        self.assertEqual(idle.closed(), 1001)
        self.assertEqual(s.stop(), 0)
        self.assertEqual(sandboxes(), 0)

    def test_stop_lets_work_end(self):
        s = Server({"server": {"shutdownGraceMs": 10000}}).wait()
        w = WebSocket(s.port)
        w.execute("echo here; sleep 1; echo there")
        w.event()
        s.process.send_signal(signal.SIGTERM)
        events, close = w.rest()
        self.assertEqual((text_of(events), close[0]), ("there\n", 1000))
        self.assertEqual(s.stop(), 0)

    def test_stop_with_clients_that_do_not_close(self):
        s = Server({"server": {"shutdownGraceMs": 0}}).wait()
        clients = [WebSocket(s.port) for _ in range(20)]
        clients[0].execute("yes")
        start = time.monotonic()
        self.assertEqual(s.stop(), 0)
        self.assertLess(time.monotonic() - start, 15)
        for w in clients:
            w.s.close()


if __name__ == "__main__":
    unittest.main()
