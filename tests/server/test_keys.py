# SPDX-License-Identifier: Apache-2.0
"""test_keys.py KIND - keys in a database: sqlite, postgres or mysql, the real ones."""
import datetime
import glob
import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import jsonschema

from databases import KINDS, PASSWORD, QUOTED
from harness import KEY, SERVER, Server, until

KIND = sys.argv.pop(1)
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
UNREACHABLE = (503, {"error": "The key database cannot be reached"})
db = None


def setUpModule():
    global db
    db = KINDS[KIND]()


def tearDownModule():
    db.close()


def of(*kinds):
    """A test that there is for these databases only: it is not skipped for the others, it is not."""
    return lambda test: test if KIND in kinds else None


def iso(seconds=0.0):
    t = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return t.strftime("%Y-%m-%dT%H:%M:%S.") + f"{t.microsecond // 1000:03d}Z"


class Keys(Server):
    """A server with the database."""

    def __init__(self, config=None, args=None, **more):
        super().__init__(config, args=["--auth-db", db.url] if args is None else args, **more)

    def make(self, name="k", **more):
        status, j = self.json("POST", "/auth/keys", {"name": name, **more})
        assert status == 201, j
        return j

    def sees(self, key):
        return self.json("GET", "/sessions", key=key)

    def listed(self, query=""):
        return self.json("GET", "/auth/keys" + query)[1]["keys"]


class KeysCase(unittest.TestCase):
    config = None

    @classmethod
    def setUpClass(cls):
        cls.s = Keys(cls.config).wait()

    @classmethod
    def tearDownClass(cls):
        code = cls.s.stop()
        said = cls.s.said()
        assert code == 0, (code, said)
        assert "ERROR: " not in said and "runtime error" not in said, said
        assert PASSWORD not in said and QUOTED not in said, said


class Routes(KeysCase):
    def test_life_of_a_key(self):
        before = iso()
        made = self.s.make("first", tenantId="a")
        self.assertEqual(list(made), ["id", "key", "name", "keyPrefix", "tenantId", "expiresAt"])
        self.assertRegex(made["id"], f"^{UUID}$")
        self.assertRegex(made["key"], "^isol8_[0-9a-f]{64}$")
        self.assertEqual((made["name"], made["tenantId"], made["keyPrefix"]),
                         ("first", "a", made["key"][:10] + "..."))
        self.assertRegex(made["expiresAt"], f"^{ISO}$")
        self.assertTrue(iso(86390) < made["expiresAt"] < iso(86410))  # auth.defaultTtlMs
        row = [x for x in self.s.listed() if x["id"] == made["id"]][0]
        self.assertEqual(list(row), ["id", "name", "keyPrefix", "tenantId", "createdAt", "expiresAt",
                                     "lastUsedAt", "revoked"])
        self.assertTrue(before <= row["createdAt"] <= iso())
        self.assertEqual((row["lastUsedAt"], row["revoked"]), (None, False))
        self.assertEqual(self.s.sees(made["key"]), (200, {"sessions": []}))

        def used():
            return [x for x in self.s.listed() if x["id"] == made["id"]][0]["lastUsedAt"]
        until(used, 5, "writing when it was used")
        self.assertTrue(before <= used() <= iso(), used())
        first = used()
        time.sleep(1.1)
        self.s.sees(made["key"])
        until(lambda: used() > first, 5, "writing that it was used again")
        for _ in range(2):  # also when it is revoked already
            self.assertEqual(self.s.json("DELETE", "/auth/keys/" + made["id"]),
                             (200, {"ok": True, "id": made["id"]}))
            self.assertEqual(self.s.sees(made["key"]), (403, {"error": "Invalid API key"}))
        row = [x for x in self.s.listed() if x["id"] == made["id"]][0]
        self.assertTrue(row["revoked"])
        self.assertIn(f"[Server] Created API key: id={made['id']} name=first\n", self.s.said())
        self.assertIn(f"[Server] Revoked API key: id={made['id']}\n", self.s.said())

    def test_login(self):
        for body, name, tenant in [(None, r"login-" + ISO, "default"), ({}, r"login-" + ISO, "default"),
                                   ({"name": "me", "tenantId": "t9", "ttlMs": 60000}, "me", "t9")]:
            status, j = self.s.json("POST", "/auth/login", body)
            self.assertEqual((status, list(j)), (200, ["token", "expiresAt", "keyId"]))
            row = [x for x in self.s.listed() if x["id"] == j["keyId"]][0]
            self.assertRegex(row["name"], f"^{name}$")
            self.assertEqual((row["tenantId"], row["expiresAt"]), (tenant, j["expiresAt"]))
            self.assertEqual(self.s.sees(j["token"])[0], 200)
            self.assertIn(f"[Server] Login token issued: id={j['keyId']}\n", self.s.said())
        self.assertTrue(j["expiresAt"] < iso(61))

    def test_refused(self):
        for body in [{}, {"name": ""}, {"name": None}, {"tenantId": "x"}]:
            self.assertEqual(self.s.json("POST", "/auth/keys", body),
                             (400, {"error": "name is required"}))
        cases = [({"ttlMs": x}, "ttlMs") for x in [0, -1, 0.5, 1.5, "1000", True, [], {}, 1e300,
                                                   3155760000001, "1; DROP TABLE api_keys"]]
        cases += [({"name": x}, "name") for x in [1, [], "x" * 256, "a\nb", "\x1b[2J", "\x7f", "\x85"]]
        cases += [({"tenantId": x}, "tenantId") for x in [1, {}, "", "x" * 256, "a\tb", "é" * 128]]
        for more, field in cases:
            for path in ["/auth/keys", "/auth/login"]:
                status, j = self.s.json("POST", path, {"name": "n", **more})
                self.assertEqual((status, j.get("field")), (400, field), more)
                self.assertTrue(j["error"].startswith(field + ": "), j)
        for body in [b"", b"x", b"[]", b'{"name":"a\\u0000b"}']:
            status, j = self.s.json("POST", "/auth/keys", body)
            self.assertEqual((status, j["field"]), (400, "body"))
        self.assertEqual(self.s.json("POST", "/auth/login", b"x")[0], 400)
        for name in ["nix", "%0d%0a", "'%20OR%201=1%20--%20", "%ff", "x" * 300]:
            self.assertEqual(self.s.json("DELETE", "/auth/keys/" + name),
                             (404, {"error": "Key not found"}), name)
        made = self.s.make("largest", ttlMs=3155760000000)
        self.assertEqual(made["expiresAt"][:2], "21")
        self.assertEqual(self.s.sees(made["key"])[0], 200)

    def test_listing(self):
        made = []
        for i in range(3):
            made.append(self.s.make(f"l{i}", tenantId="listed"))
            time.sleep(0.003)
        self.assertEqual([x["id"] for x in self.s.listed("?tenantId=listed")],
                         [x["id"] for x in reversed(made)])
        times = [x["createdAt"] for x in self.s.listed()]
        self.assertEqual(times, sorted(times, reverse=True))
        self.assertGreater(len(self.s.listed("?tenantId=")), 0)  # as if it were not there
        for nobody in ["LISTED", "listed%20", "x' OR '1'='1", "x%27%20OR%20%271%27=%271", "%01",
                       "l%25", "x" * 300]:
            self.assertEqual(self.s.listed("?tenantId=" + nobody.replace(" ", "%20")), [], nobody)
        text = json.dumps(self.s.listed())
        for x in made:
            self.assertNotIn(x["key"], text)
            self.assertNotIn(hashlib.sha256(x["key"].encode()).hexdigest(), text)

    def test_texts_that_mean_something_to_sql(self):
        words = ["'; DROP TABLE api_keys; --", '"', "\\", "\\'", "%", "_", "$1", "?", "NULL", "ünï 😀",
                 "a" * 255, "-- ", "/*", "${x}", "`", "'' OR ''=''"]
        for word in words:
            made = self.s.make(word, tenantId=word)
            self.assertEqual((made["name"], made["tenantId"]), (word, word))
            row = [x for x in self.s.listed() if x["id"] == made["id"]][0]
            self.assertEqual((row["name"], row["tenantId"]), (word, word))
            self.assertEqual(self.s.sees(made["key"])[0], 200)
        self.assertGreaterEqual(len(self.s.listed()), len(words))

    def test_master_only(self):
        key = self.s.make("mere key")["key"]
        for method, path in [("POST", "/auth/keys"), ("GET", "/auth/keys"), ("DELETE", "/auth/keys/x"),
                             ("POST", "/auth/login"), ("POST", "/cleanup")]:
            self.assertEqual(self.s.json(method, path, key=key),
                             (403, {"error": "Master key required for this operation"}))
        for path in ["/sessions", "/metrics", "/openapi.json"]:
            self.assertEqual(self.s.call("GET", path, key=key)[0], 200)
        self.assertEqual(self.s.json("POST", "/execute", {"request": {"runtime": "bash", "code": "echo 1"}},
                                     key=key)[1]["stdout"], "1")

    def test_expiry(self):
        made = self.s.make("short", ttlMs=700)
        self.assertEqual(self.s.sees(made["key"])[0], 200)
        time.sleep(0.2)
        self.assertEqual(self.s.sees(made["key"])[0], 200)
        time.sleep(0.6)
        self.assertEqual(self.s.sees(made["key"])[0], 403)  # also if it was remembered
        self.assertIn(made["id"], [x["id"] for x in self.s.listed()])

    def test_revoke_acts_at_once(self):
        for _ in range(20):
            made = self.s.make("gone")
            for _ in range(3):
                self.assertEqual(self.s.sees(made["key"])[0], 200)
            self.s.json("DELETE", "/auth/keys/" + made["id"])
            self.assertEqual(self.s.sees(made["key"])[0], 403)

    def test_revoke_under_load(self):
        """No request that begins after the answer to the revoke gets in."""
        made = self.s.make("loaded")
        over, late = threading.Event(), []

        def ask():
            while not stop.is_set():
                was_over = over.is_set()
                if self.s.sees(made["key"])[0] == 200 and was_over:
                    late.append(1)
        stop = threading.Event()
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for t in threads:
            t.start()
        time.sleep(0.3)
        self.s.json("DELETE", "/auth/keys/" + made["id"])
        over.set()
        time.sleep(0.4)
        stop.set()
        for t in threads:
            t.join()
        self.assertEqual(late, [])
        time.sleep(1)  # those were failed tries: give others a chance

    def test_forms(self):
        key = self.s.make("form")["key"]
        for header in [key, "Bearer " + key, "bearer\t" + key]:
            self.assertEqual(self.s.call("GET", "/sessions", key=None,
                                         headers={"Authorization": header})[0], 200)
        for token in [key.upper(), key[:-1], key + "0", key[6:], "Isol8_" + key[6:], key[:-1] + "G"]:
            self.assertEqual(self.s.sees(token)[0], 403, token)

    def test_concurrent(self):
        """Twenty clients with a key each."""
        keys = [self.s.make(f"c{i}", tenantId=f"c{i}")["key"] for i in range(20)]
        wrong = []

        def ask(i):
            c = self.s.connect()
            for n in range(15):
                if n == 7:
                    self.s.json("POST", "/auth/keys", {"name": "meanwhile"})
                status, _, data = self.s.call("GET", "/sessions", key=keys[i], connection=c)
                if (status, data) != (200, b'{"sessions":[]}'):
                    wrong.append((status, data))
            c.close()
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])

    def test_at_rest(self):
        made = self.s.make("at rest")
        token = self.s.json("POST", "/auth/login")[1]["token"]
        self.s.sees(made["key"])
        for key in [made["key"], token]:
            dump = db.dump()
            self.assertNotIn(key.encode(), dump)
            self.assertNotIn(key[6:].encode(), dump)
            self.assertIn(hashlib.sha256(key.encode()).hexdigest().encode(), dump)
            self.assertNotIn(key, self.s.said())
            self.assertNotIn(hashlib.sha256(key.encode()).hexdigest(), self.s.said())
        _, _, text = self.s.call("GET", "/metrics")
        self.assertNotIn(PASSWORD.encode(), text)

    def test_counts(self):
        key = self.s.make("counted")["key"]
        before = {r: self.s.metric('isol8_auth_total{result="%s"}' % r)
                  for r in ["master", "key", "rejected"]}
        self.s.sees(key)
        self.s.sees("isol8_" + "0" * 64)
        self.assertEqual(self.s.metric('isol8_auth_total{result="key"}'), before["key"] + 1)
        self.assertEqual(self.s.metric('isol8_auth_total{result="rejected"}'), before["rejected"] + 1)
        self.assertGreater(self.s.metric('isol8_auth_total{result="master"}'), before["master"])

    def test_openapi(self):
        doc = self.s.json("GET", "/openapi.json")[1]
        made = self.s.json("POST", "/auth/keys", {"name": "doc"})
        answers = [("post", "/auth/keys", 201, made),
                   ("post", "/auth/keys", 400, self.s.json("POST", "/auth/keys", {})),
                   ("get", "/auth/keys", 200, self.s.json("GET", "/auth/keys")),
                   ("delete", "/auth/keys/{id}", 200,
                    self.s.json("DELETE", "/auth/keys/" + made[1]["id"])),
                   ("delete", "/auth/keys/{id}", 404, self.s.json("DELETE", "/auth/keys/x")),
                   ("post", "/auth/login", 200, self.s.json("POST", "/auth/login")),
                   ("post", "/auth/login", 400, self.s.json("POST", "/auth/login", {"ttlMs": 0}))]
        for method, path, status, (got, body) in answers:
            self.assertEqual(got, status, (path, body))
            said = doc["paths"][path][method]["responses"][str(status)]
            while "$ref" in said:
                said = doc["components"]["responses"][said["$ref"].rsplit("/", 1)[1]]
            schema = dict(said["content"]["application/json"]["schema"],
                          components=doc["components"])
            jsonschema.Draft202012Validator(schema).validate(body)


class Tenants(KeysCase):
    def run_as(self, key, code, session="same"):
        return self.s.json("POST", "/execute", {"request": {"runtime": "bash", "code": code},
                                                "sessionId": session}, key=key)

    def ids(self, key):
        return [x["id"] for x in self.s.json("GET", "/sessions", key=key)[1]["sessions"]]

    def test_two(self):
        a, a2, b = (self.s.make("t", tenantId=t)["key"] for t in ["one", "one", "two"])
        self.assertEqual(self.run_as(a, "echo secret >f; cat f")[1]["stdout"], "secret")
        self.assertEqual(self.ids(b), [])
        self.assertEqual(self.s.json("GET", "/file?sessionId=same&path=f", key=b),
                         (404, {"error": "Session not found"}))
        self.assertEqual(self.s.json("POST", "/file", {"sessionId": "same", "path": "f", "content": ""},
                                     key=b), (404, {"error": "Session not found"}))
        self.assertEqual(self.s.json("DELETE", "/session/same", key=b), (200, {"ok": True}))
        self.assertEqual(self.run_as(a2, "cat f")[1]["stdout"], "secret")  # of the same tenant
        self.assertIn("none", self.run_as(b, "cat f || echo none")[1]["stdout"])
        self.assertEqual((self.ids(a), self.ids(b)), (["same"], ["same"]))
        self.assertEqual(self.ids(KEY), ["same", "same"])
        self.assertEqual(self.s.json("DELETE", "/session/same", key=b), (200, {"ok": True}))
        self.assertEqual(self.run_as(a, "cat f")[1]["stdout"], "secret")
        self.assertEqual(self.s.json("DELETE", "/session/same", key=a), (200, {"ok": True}))
        self.assertEqual(self.ids(KEY), [])


class Guessing(KeysCase):
    config = {"debug": True}

    def test_brute_force(self):
        key = self.s.make("held")["key"]
        other = self.s.make("held, not used yet")["key"]
        self.assertEqual(self.s.sees(key)[0], 200)
        seen = [self.s.sees("isol8_" + hashlib.sha256(str(i).encode()).hexdigest())[0]
                for i in range(400)]
        self.assertEqual(set(seen), {403, 429})
        self.assertLess(seen.count(403), 60)
        time.sleep(1.1)  # what was remembered is no more
        self.assertEqual(self.s.sees(key)[0], 200)
        self.assertEqual(self.s.json("GET", "/sessions")[0], 200)
        over = threading.Event()

        def guess():
            c = self.s.connect()
            while not over.is_set():
                self.s.call("GET", "/sessions", key="isol8_" + os.urandom(32).hex(), connection=c)
            c.close()
        threads = [threading.Thread(target=guess) for _ in range(2)]
        for t in threads:
            t.start()
        try:  # its first use, from an address that has no try left and goes on guessing
            until(lambda: self.s.sees(other)[0] == 200, 20, "getting in beside a guesser")
            for _ in range(30):
                self.assertEqual(self.s.sees(other)[0], 200)
        finally:
            over.set()
            for t in threads:
                t.join()
        self.assertGreater(self.s.metric('isol8_auth_total{result="limited"}'), 100)

    def test_weak_master_key(self):
        s = Keys(key="weak").wait()
        try:
            made = s.json("POST", "/auth/keys", {"name": "x"}, key="weak")[1]
            while s.sees("guess")[0] == 403:
                pass
            self.assertEqual(s.sees("weak")[0], 429)
            self.assertEqual(s.sees(made["key"])[0], 200)
        finally:
            self.assertEqual(s.stop(), 0)


class Foreign(KeysCase):
    """Rows that somebody else wrote."""

    def insert(self, **more):
        c, key = db.columns, "isol8_" + os.urandom(32).hex()
        row = {"id": f"'{os.urandom(8).hex()}'", "name": "'x'", "tenant": "'t'", "prefix": "'p'",
               "hash": f"'{hashlib.sha256(key.encode()).hexdigest()}'", "created": f"'{iso()}'",
               "expires": f"'{iso(100)}'", "revoked": db.no, **more}
        names = ", ".join(c.get(k, k) for k in row)
        db.query(f"INSERT INTO api_keys ({names}) VALUES ({', '.join(row.values())})")
        return key

    def test_rows(self):
        self.assertEqual(self.s.sees(self.insert())[0], 200)
        bad = [{"expires": "'x'"}, {"expires": "''"}, {"expires": "'9999'"}, {"tenant": "''"},
               {"expires": f"'{iso(-1)}'"}, {"tenant": "'a\tb'"}]
        if KIND != "mysql":
            bad += [{"tenant": "'" + "x" * 256 + "'"}, {"expires": "'" + "9" * 100000 + "'"},
                    {"tenant": "'" + "x" * 5000000 + "'"}]
        if KIND == "sqlite":
            bad += [{"revoked": "'no'"}, {"revoked": "''"}, {"revoked": "0.5"}, {"revoked": "x'00'"},
                    {"tenant": "x'61ff'"}, {"tenant": "'a' || char(0) || 'b'"}, {"expires": "99999999999999"},
                    {"expires": "x'ff'"}]
        for more in bad:
            key = self.insert(**more)
            self.assertEqual(self.s.sees(key)[0], 403, str(more)[:80])
            time.sleep(1)  # tries come back
        self.insert(name="'" + "n" * 60000 + "'", tenant="'long'")
        row = self.s.listed("?tenantId=long")[0]
        self.assertEqual(row["name"], "n" * 512)
        self.assertEqual(self.s.json("DELETE", "/auth/keys/" + row["id"])[0], 200)
        for x in self.s.listed():
            self.assertEqual(set(x), {"id", "name", "keyPrefix", "tenantId", "createdAt", "expiresAt",
                                      "lastUsedAt", "revoked"})

    def test_many(self):
        """More than a list has room for."""
        c = db.columns
        numbers = {"sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<10050) ",
                   "postgres": "WITH n AS (SELECT generate_series(1, 10050) AS i) "}
        columns = f"(id, name, {c['hash']}, {c['prefix']}, {c['tenant']}, {c['created']}, {c['expires']}, revoked)"
        if KIND == "mysql":
            db.query(f"INSERT INTO api_keys {columns} SELECT concat('m', seq), concat('n', seq), "
                     f"concat('m', seq), 'p', 'many', '{iso(-9999)}', '{iso(500)}', FALSE FROM seq_1_to_10050")
        else:
            db.query(f"{numbers[KIND]}INSERT INTO api_keys {columns} "
                     f"SELECT 'm' || i, 'n' || i, 'm' || i, 'p', 'many', '{iso(-9999)}', '{iso(500)}', {db.no} FROM n")
        j = self.s.json("GET", "/auth/keys?tenantId=many")[1]
        self.assertEqual((len(j["keys"]), j["truncated"]), (10000, True))
        db.query(f"DELETE FROM api_keys WHERE {c['tenant']} = 'many'")
        self.assertNotIn("truncated", self.s.json("GET", "/auth/keys")[1])


class Gone(unittest.TestCase):
    def test_stopped_and_started(self):
        s = Keys().wait()
        try:
            key, doomed = s.make("a")["key"], s.make("b")
            s.run("true", session="kept")
            db.stop()
            until(lambda: s.sees(key)[0] == 503, 15, "noticing")
            status, headers, data = s.call("GET", "/sessions", key=key)
            self.assertEqual((status, json.loads(data)), UNREACHABLE)
            self.assertIn("Retry-After", headers)
            for _ in range(100):  # nobody's failed tries, and quick
                start = time.monotonic()
                self.assertEqual(s.sees(key)[0], 503)
                self.assertLess(time.monotonic() - start, 5)
            self.assertEqual(s.sees("isol8_" + "1" * 64)[0], 503)
            self.assertEqual(s.sees("other")[0], 403)
            self.assertEqual(s.run("echo 1")[1]["stdout"], "1")  # the master key
            self.assertEqual(s.json("POST", "/auth/keys", {"name": "x"}), UNREACHABLE)
            self.assertEqual(s.json("POST", "/auth/login"), UNREACHABLE)
            self.assertEqual(s.json("GET", "/auth/keys"), UNREACHABLE)
            self.assertEqual(s.json("DELETE", "/auth/keys/" + doomed["id"]), UNREACHABLE)
            self.assertGreater(s.metric('isol8_auth_total{result="unavailable"}'), 100)
            self.assertEqual(s.said().count("[WARN] The key database cannot be reached: "), 1, s.said())
            with open(f"/proc/{s.process.pid}/stat", encoding="ascii") as f:
                spent = sum(map(int, f.read().rsplit(")")[1].split()[11:13]))
            time.sleep(2)
            with open(f"/proc/{s.process.pid}/stat", encoding="ascii") as f:
                spent = sum(map(int, f.read().rsplit(")")[1].split()[11:13])) - spent
            self.assertLess(spent, 50)  # of 200 ticks: it does not keep trying
            db.start()
            until(lambda: s.sees(key)[0] == 200, 10, "coming back")
            self.assertIn("[Server] The key database is back\n", s.said())
            self.assertEqual(s.json("DELETE", "/auth/keys/" + doomed["id"])[0], 200)
            self.assertEqual(s.sees(doomed["key"])[0], 403)
        finally:
            self.assertEqual(s.stop(), 0)
        self.assertNotIn(PASSWORD, s.said())

    def test_restarted_in_between(self):
        """Connections that died while nobody used them are nobody's business."""
        s = Keys().wait()
        try:
            key = s.make("a")["key"]
            self.assertEqual(s.sees(key)[0], 200)
            db.stop()
            db.start()
            time.sleep(1.1)
            self.assertEqual(s.sees(key)[0], 200)
            self.assertNotIn("cannot be reached", s.said())
        finally:
            self.assertEqual(s.stop(), 0)

    def test_table_vanishes(self):
        s = Keys().wait()
        try:
            key = s.make("a")["key"]
            db.query("ALTER TABLE api_keys RENAME TO elsewhere")
            time.sleep(1.1)
            self.assertEqual(s.sees(key), UNREACHABLE)
            db.query("ALTER TABLE elsewhere RENAME TO api_keys")
            until(lambda: s.sees(key)[0] == 200, 10, "coming back")
        finally:
            self.assertEqual(s.stop(), 0)

    @of("postgres", "mysql")
    def test_hung(self):
        s = Keys().wait()
        try:
            key = s.make("a")["key"]
            self.assertEqual(s.sees(key)[0], 200)
            time.sleep(1.1)
            db.freeze()
            try:
                answers, start = [], time.monotonic()
                threads = [threading.Thread(target=lambda: answers.append(s.sees(key)[0]))
                           for _ in range(12)]
                for t in threads:
                    t.start()
                self.assertEqual(s.json("GET", "/sessions")[0], 200)
                self.assertLess(time.monotonic() - start, 1)
                for t in threads:
                    t.join()
                self.assertEqual(set(answers), {503})
                self.assertLess(time.monotonic() - start, 8)
            finally:
                db.thaw()
            until(lambda: s.sees(key)[0] == 200, 10, "coming back")
            db.freeze()
            start = time.monotonic()
            self.assertEqual(s.stop(), 0)  # a database that hangs holds up nobody
            self.assertLess(time.monotonic() - start, 12)
        finally:
            db.thaw()
            s.stop()

    @of("sqlite")
    def test_locked(self):
        s = Keys().wait()
        try:
            key = s.make("a")["key"]
            lock = sqlite3.connect(db.path, isolation_level=None)
            lock.execute("BEGIN IMMEDIATE")
            self.assertEqual(s.sees(key)[0], 200)  # reading goes on
            start = time.monotonic()
            self.assertEqual(s.json("POST", "/auth/keys", {"name": "x"}), UNREACHABLE)
            self.assertTrue(2 < time.monotonic() - start < 10)
            lock.execute("ROLLBACK")
            lock.close()
            until(lambda: s.json("POST", "/auth/keys", {"name": "x"})[0] == 201, 10)
        finally:
            self.assertEqual(s.stop(), 0)


class Start(unittest.TestCase):
    def refused(self, url, *words, **more):
        s = Keys(args=["--auth-db", url], **more)
        self.assertEqual(s.process.wait(30), 1, s.said())
        said = s.said()
        s.stop()
        for word in words:
            self.assertIn(word, said)
        self.assertNotIn("Sanitizer", said)
        self.assertNotIn("hidden", said)
        self.assertNotIn(PASSWORD, said)
        self.assertNotIn(QUOTED, said)
        return said

    def lines(self, s):
        return [x for x in s.said().splitlines() if "auth" in x.lower()]

    def test_by_flag_variable_and_config(self):
        """The flag wins over the variable, and that over the configuration."""
        enabled = f"[Server] DB-backed auth enabled: {db.shown}"
        auth = ["       Auth: Bearer token required", f"       Auth DB: {db.shown}"]
        wrong = "/nowhere\t/x"
        conf = {"auth": {"enabled": True, "connectionString": db.url}}
        for lines, more in [
                ([enabled, *auth], {"env": {"ISOL8_AUTH_DB": "redis://wrong"}}),
                ([enabled, *auth], {"args": [], "env": {"ISOL8_AUTH_DB": db.url}}),
                ([enabled, auth[0]], {"args": [], "config": conf}),
                ([enabled, *auth], {"command": [os.environ["ISOL8"], "serve"]}),
                ([auth[0]], {"args": [], "config": {"auth": {"connectionString": wrong}}})]:
            s = Keys(**more).wait()
            self.assertEqual(self.lines(s), lines)
            with open(f"/proc/{s.process.pid}/cmdline", encoding="utf-8") as f:
                self.assertNotIn(QUOTED, f.read())
            self.assertEqual(s.json("GET", "/auth/keys")[0], 200 if len(lines) > 1 else 400)
            self.assertEqual(s.stop(), 0)

    def test_unknown_kinds(self):
        for url, word in [("redis://u:hidden@h/d", "redis:// is no kind of database"),
                          ("mongodb://h", "expected a file, postgres://"),
                          ("hidden hidden://x", "***:// is no kind"),
                          ("POSTGRES://u:hidden@h/d", "no kind of database"),
                          ("file:/tmp/x", "expected the path of a file"),
                          (":memory:", "expected the path of a file"),
                          ("", "does not name a file"), ("/tmp/", "does not name a file"),
                          ("mysql://u:hid@den@h/d", "percent-encoded"),
                          ("postgres://u:hid/hidden@h/d", "percent-encoded"),
                          ("postgres://u:hidden/h/d", "expected HOST"),
                          ("mysql://u:hidden@h", "name of the database"),
                          ("mysql://u:hidden@h/d?nix=hidden", "parameters are"),
                          ("mysql://u:hidden@h/d?ssl=hidden", "sslmode=verify-full"),
                          ("mysql://u:hidden@h:0/d", "1 to 65535")]:
            self.refused(url, "[ERR] ", word)

    def test_unreachable(self):
        if KIND == "sqlite":
            self.refused("/proc/nix/auth.db", "cannot open the key database /proc/nix/auth.db: ")
            return
        scheme = db.url.split(":")[0]
        start = time.monotonic()
        self.refused(f"{scheme}://u:hidden@127.0.0.1:1/d",
                     f"[ERR] cannot open the key database {scheme}://u:***@127.0.0.1:1/d: ")
        self.assertLess(time.monotonic() - start, 10)
        wrong = db.url.replace(QUOTED, "hidden")
        self.refused(wrong, f"cannot open the key database {db.shown}: ")
        db.freeze()
        try:
            start = time.monotonic()
            self.refused(db.url, f"cannot open the key database {db.shown}: ")
            self.assertLess(time.monotonic() - start, 12)
        finally:
            db.thaw()

    def test_missing_library(self):
        """Without the library it says which one, and does not start."""
        name = {"sqlite": "libsqlite3.so.0", "postgres": "libpq.so.5", "mysql": "libmariadb.so.3"}[KIND]
        path = os.path.realpath(glob.glob("/usr/lib/*/" + name)[0])
        self.refused(db.url, f"cannot open the key database {db.shown}: cannot load {name}: ",
                     command=["unshare", "-m", "bash", "-c",
                              f'mount --bind /dev/null {path}; exec "$0" "$@"', SERVER])

    def test_no_name(self):
        self.refused("", "does not name a database", command=[os.environ["ISOL8"], "serve"])

    @of("postgres", "mysql")
    def test_local_socket(self):
        s = Keys(args=["--auth-db", db.socket_url]).wait()
        self.assertEqual(s.sees(s.make()["key"])[0], 200)
        self.assertEqual(s.stop(), 0)
        self.assertNotIn(QUOTED, s.said())

    @of("postgres")
    def test_password_elsewhere(self):
        url = db.url.replace(":" + QUOTED, "")
        s = Keys(args=["--auth-db", url], env={"PGPASSWORD": PASSWORD}).wait()
        self.assertEqual(s.sees(s.make()["key"])[0], 200)
        self.assertEqual(s.stop(), 0)
        s = Keys(args=["--auth-db", url + f"&password={QUOTED}&sslpassword=hidden"]).wait()
        self.assertIn("password=***&sslpassword=***", s.said())
        self.assertEqual(s.stop(), 0)
        self.assertNotIn(QUOTED, s.said())

    @of("mysql")
    def test_tls(self):
        local = db.url.replace("127.0.0.1", "localhost")
        for url in [local + "?sslmode=require", f"{local}?ssl-ca={db.cert}",
                    f"{local}?ssl=true&ssl-ca={db.cert}", f"{local}?ssl-mode=VERIFY_IDENTITY&ssl-ca={db.cert}"]:
            s = Keys(args=["--auth-db", url]).wait()
            self.assertEqual(s.sees(s.make()["key"])[0], 200, url)
            self.assertEqual(s.stop(), 0)
        for url in [local + "?ssl=true", local + "?sslmode=verify-full",
                    f"{db.url.replace('127.0.0.1', '127.0.0.2')}?ssl-ca={db.cert}"]:
            self.refused(url, "cannot open the key database")


class Cleaning(unittest.TestCase):
    def test_removal(self):
        s = Keys({"auth": {"cleanupIntervalMs": 400, "defaultTtlMs": 60000}, "debug": True}).wait()
        try:
            kept, revoked = s.make("kept"), s.make("revoked")
            expired = s.make("expired", ttlMs=100)
            s.json("DELETE", "/auth/keys/" + revoked["id"])
            until(lambda: not {revoked["id"], expired["id"]} & {x["id"] for x in s.listed()}, 10)
            self.assertIn(kept["id"], [x["id"] for x in s.listed()])
            self.assertTrue(iso(50) < kept["expiresAt"] < iso(61))
            self.assertEqual(s.sees(kept["key"])[0], 200)
            self.assertRegex(s.said(), r"\[DEBUG\] \[Keys\] removed \d+ keys")
        finally:
            self.assertEqual(s.stop(), 0)

    def test_hardly_ever(self):
        """The largest interval is no small one."""
        s = Keys({"auth": {"cleanupIntervalMs": 999999999999999}, "debug": True}).wait()
        time.sleep(0.5)
        self.assertEqual(s.stop(), 0)
        self.assertNotIn("[Keys] removed", s.said())

    def test_used_is_written_at_the_end(self):
        s = Keys().wait()
        made = s.make("used")
        self.assertEqual(s.sees(made["key"])[0], 200)
        self.assertEqual(s.stop(), 0)
        rows = db.query(f"SELECT {db.columns['used']} FROM api_keys WHERE id = '{made['id']}'")
        self.assertRegex(rows[0][0], f"^{ISO}$")

    def test_killed(self):
        s = Keys().wait()
        made = s.make("survives")
        s.stop(signal.SIGKILL)
        s = Keys().wait()
        self.assertEqual(s.sees(made["key"])[0], 200)
        self.assertEqual(s.stop(), 0)

    def test_two_servers(self):
        """One database, and what one of them revokes the other forgets within a second."""
        a, b = Keys().wait(), Keys().wait()
        made = a.make("shared")
        self.assertEqual(b.sees(made["key"])[0], 200)
        a.json("DELETE", "/auth/keys/" + made["id"])
        self.assertEqual(a.sees(made["key"])[0], 403)
        until(lambda: b.sees(made["key"])[0] == 403, 1.5, "forgetting")
        self.assertEqual((a.stop(), b.stop()), (0, 0))


@of("sqlite")
class File(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="isol8-keys-", dir=os.environ.get("ISOL8_TEST_DIR"))
        self.path = os.path.join(self.folder, "auth.db")

    def tearDown(self):
        subprocess.run(["rm", "-rf", self.folder], check=True)

    def original(self):
        """A file as the original makes it, with a key of its own."""
        key = "isol8_" + os.urandom(32).hex()
        f = sqlite3.connect(self.path)
        f.execute("PRAGMA journal_mode = WAL")
        f.execute("PRAGMA foreign_keys = ON")
        f.execute("CREATE TABLE IF NOT EXISTS api_keys (id TEXT PRIMARY KEY, name TEXT NOT NULL, "
                  "keyHash TEXT NOT NULL UNIQUE, keyPrefix TEXT NOT NULL, tenantId TEXT NOT NULL, "
                  "createdAt TEXT NOT NULL, expiresAt TEXT NOT NULL, lastUsedAt TEXT, "
                  "revoked INTEGER NOT NULL DEFAULT 0)")
        f.execute("CREATE INDEX IF NOT EXISTS idx_api_keys_keyHash ON api_keys(keyHash)")
        f.execute("INSERT INTO api_keys VALUES (?,?,?,?,?,?,?,?,?)",
                  ("8c2f0d7e-8f1b-4a54-9a59-6a1f0b1c2d3e", "old", hashlib.sha256(key.encode()).hexdigest(),
                   key[:10] + "...", "default", iso(-5), iso(1000), None, 0))
        f.commit()
        schema = f.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
        f.close()
        os.chmod(self.path, 0o644)
        return key, schema

    def test_of_the_original(self):
        key, schema = self.original()
        s = Keys(args=["--auth-db", self.path]).wait()
        self.assertEqual(s.sees(key)[0], 200)
        self.assertEqual([x["name"] for x in s.listed()], ["old"])
        made = s.make("new")
        self.assertEqual(s.json("DELETE", "/auth/keys/8c2f0d7e-8f1b-4a54-9a59-6a1f0b1c2d3e")[0], 200)
        self.assertEqual(s.stop(), 0)
        f = sqlite3.connect(self.path)
        self.assertEqual(f.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall(),
                         schema)
        rows = f.execute("SELECT name, keyHash, keyPrefix, tenantId, revoked, typeof(revoked), lastUsedAt "
                         "FROM api_keys ORDER BY createdAt").fetchall()
        self.assertEqual(rows[1], ("new", hashlib.sha256(made["key"].encode()).hexdigest(),
                                   made["key"][:10] + "...", "default", 0, "integer", None))
        self.assertEqual((rows[0][0], rows[0][4:6]), ("old", (1, "integer")))
        self.assertRegex(rows[0][6], f"^{ISO}$")
        self.assertEqual(f.execute("PRAGMA journal_mode").fetchone(), ("wal",))
        f.close()
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_fresh(self):
        s = Keys(args=["--auth-db", "sub/deep/auth.db"],
                 command=["bash", "-c", 'umask 0; exec "$0" "$@"', SERVER]).wait()
        s.make()
        base = os.path.join(s.folder, "sub", "deep", "auth.db")
        for name in ["", "-wal", "-shm"]:
            self.assertEqual(os.stat(base + name).st_mode & 0o777, 0o600, name)
        for name in ["sub", "sub/deep"]:
            self.assertEqual(os.stat(os.path.join(s.folder, name)).st_mode & 0o777, 0o700)
        f = sqlite3.connect(base)
        schema = f.execute("SELECT name FROM sqlite_schema").fetchall()
        f.close()
        self.assertIn(("idx_api_keys_keyHash",), schema)
        self.assertEqual(s.stop(), 0)

    def test_bare_and_home(self):
        for args, shown in [(["--auth-db"], "~/.isol8/auth.db"), (["--auth-db", "--debug"], "~/.isol8/auth.db"),
                            (["--auth-db", "~/x.db"], "~/x.db"), (["--auth-db=sqlite://~/y.db"], "~/y.db")]:
            for command in [[SERVER], [os.environ["ISOL8"], "serve"]]:
                s = Keys(args=args, command=command).wait()
                self.assertIn(f"[Server] DB-backed auth enabled: {shown}\n", s.said())
                self.assertTrue(os.path.isfile(os.path.join(s.folder, shown[2:])))
                self.assertEqual(s.stop(), 0)
        s = Keys({"auth": {"enabled": True}}, args=[]).wait()
        self.assertTrue(os.path.isfile(os.path.join(s.folder, ".isol8", "auth.db")))
        self.assertEqual(s.stop(), 0)

    def refused(self, *words):
        s = Keys(args=["--auth-db", self.path])
        self.assertEqual(s.process.wait(20), 1)
        for word in words:
            self.assertIn(word, s.said())
        s.stop()

    def test_strange_files(self):
        target = os.path.join(self.folder, "target")
        os.symlink(target, self.path)
        self.refused("is a symbolic link")
        self.assertFalse(os.path.exists(target))
        os.unlink(self.path)
        os.mkfifo(self.path)
        self.refused("is not a regular file")
        os.unlink(self.path)
        os.mkdir(self.path)
        self.refused("auth.db")
        os.rmdir(self.path)
        self.original()
        os.chown(self.path, 12345, -1)
        self.refused("belongs to user 12345")
        os.chown(self.path, 0, -1)
        os.symlink(target, self.path + "-wal")
        self.refused("is a symbolic link")
        os.unlink(self.path + "-wal")
        with open(self.path, "wb") as f:
            f.write(b"not a database, but long enough to be looked at " * 100)
        self.refused("not a database")
        with sqlite3.connect(tempfile.mktemp(dir=self.folder)) as f:
            f.execute("CREATE TABLE api_keys (id TEXT)")
            name = f.execute("PRAGMA database_list").fetchone()[2]
        f.close()
        os.replace(name, self.path)
        self.refused("no such column")

    def test_mode_that_stays(self):
        self.original()
        s = Keys(args=["--auth-db", self.path]).wait()
        self.assertNotIn("[WARN]", s.said())
        self.assertEqual(s.stop(), 0)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_project_may_not_choose(self):
        with open(os.path.join(self.folder, "isol8.config.json"), "w", encoding="utf-8") as f:
            json.dump({"auth": {"enabled": True, "connectionString": "./mine.db"}}, f)
        r = subprocess.run([SERVER, "-k", "x", "--port", "1"], cwd=self.folder, capture_output=True,
                           text=True, check=False, env=dict(os.environ, HOME=self.folder))
        self.assertEqual(r.returncode, 1)
        self.assertIn("auth.connectionString", r.stderr)
        self.assertIn("~/.isol8/config.json", r.stderr)

    def test_replaced_file(self):
        """A file that was put in its place is used, and not the one that is gone."""
        s = Keys(args=["--auth-db", self.path]).wait()
        gone = s.make("gone")["key"]
        for name in ["", "-wal", "-shm"]:
            os.unlink(self.path + name)
        key, _ = self.original()
        until(lambda: s.sees(key)[0] == 200, 10, "using the new file")
        self.assertEqual(s.sees(gone)[0], 403)
        self.assertEqual(s.stop(), 0)


if __name__ == "__main__":
    unittest.main()
