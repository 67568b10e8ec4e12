# SPDX-License-Identifier: Apache-2.0
"""databases.py - a database of its own for a test: SQLite, or a real server that can be stopped."""
import ctypes
import glob
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

PASSWORD = "pg-or-my: p@ss/wörd"  # needs encoding in an address
QUOTED = "pg-or-my%3A%20p%40ss%2Fw%C3%B6rd"
NOBODY = 65534


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Sqlite:
    """The file; "stopped" when it has another name."""
    columns = {"hash": "keyHash", "tenant": "tenantId", "expires": "expiresAt",
               "used": "lastUsedAt", "prefix": "keyPrefix", "created": "createdAt"}

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="isol8-keys-", dir=os.environ.get("ISOL8_TEST_DIR"))
        self.path = os.path.join(self.folder, "sub", "auth.db")
        self.url = self.shown = self.path
        self.no = "0"

    def query(self, sql):
        with sqlite3.connect(self.path, timeout=10) as db:
            rows = db.execute(sql).fetchall()
        db.close()
        return [[None if x is None else str(x) for x in row] for row in rows]

    def dump(self):
        text = b""
        for name in glob.glob(self.path + "*"):
            with open(name, "rb") as f:
                text += f.read()
        return text

    def stop(self):
        os.rename(self.path, self.path + ".away")

    def start(self):
        os.rename(self.path + ".away", self.path)

    def close(self):
        shutil.rmtree(self.folder)


class Process:
    """A database server, as nobody: it refuses to be root."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="isol8-keys-", dir="/tmp")
        os.chown(self.folder, NOBODY, NOBODY)
        self.port = free_port()
        self.process = None
        self.log = open(os.path.join(self.folder, "log"), "w", encoding="utf-8")
        self.make()
        self.start()

    def as_nobody(self, *command, **more):
        return dict(args=["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                          *command],
                    cwd=self.folder, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                    env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": self.folder},
                    **more)

    def start(self):
        self.process = subprocess.Popen(**self.as_nobody(*self.command()))
        end = time.monotonic() + 60
        while True:
            try:
                self.query("SELECT 1")
                return
            except (RuntimeError, subprocess.CalledProcessError):
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(self.quick)
        self.process.wait(60)

    def freeze(self):
        for pid in self.family():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.family():
            os.kill(pid, signal.SIGCONT)

    def family(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [pid, *map(int, f.read().split())]

    def close(self):
        self.stop()
        self.log.close()
        shutil.rmtree(self.folder)


class Postgres(Process):
    columns = {"hash": "key_hash", "tenant": "tenant_id", "expires": "expires_at",
               "used": "last_used_at", "prefix": "key_prefix", "created": "created_at"}
    quick = signal.SIGINT

    def make(self):
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        with open(os.path.join(self.folder, "password"), "w", encoding="utf-8") as f:
            f.write(PASSWORD)
        subprocess.run(**self.as_nobody(f"{self.bin}/initdb", "-D", "data", "-A", "scram-sha-256",
                                        "-U", "keys", "-E", "UTF8", "--no-sync",
                                        "--pwfile=password"), check=True)
        self.url = f"postgres://keys:{QUOTED}@127.0.0.1:{self.port}/postgres?sslmode=disable"
        self.shown = f"postgres://keys:***@127.0.0.1:{self.port}/postgres?sslmode=disable"
        self.socket_url = f"postgresql://keys:{QUOTED}@/postgres?host={self.folder}&port={self.port}"
        self.no = "FALSE"

    def command(self):
        return [f"{self.bin}/postgres", "-D", "data", "-p", str(self.port), "-h", "127.0.0.1",
                "-k", self.folder, "-F"]

    def query(self, sql):
        r = subprocess.run(["psql", "-AtX", "-F", "\x1f", "-P", "null=\x1e", "-h", "127.0.0.1", "-p",
                            str(self.port), "-U", "keys", "-d", "postgres", "-v", "ON_ERROR_STOP=1"],
                           env=dict(os.environ, PGPASSWORD=PASSWORD), check=True,
                           capture_output=True, text=True, input=sql)
        return [[None if x == "\x1e" else x for x in line.split("\x1f")]
                for line in r.stdout.split("\n")[:-1]]

    def dump(self):
        return repr(self.query("SELECT * FROM api_keys")).encode()


class Mysql(Process):
    columns = Postgres.columns
    quick = signal.SIGTERM
    client = None

    def make(self):
        self.socket = os.path.join(self.folder, "s")
        data = os.path.join(self.folder, "data")
        os.mkdir(data)
        os.chown(data, NOBODY, NOBODY)
        # What mariadb-install-db does, which needs programs of another package.
        sql = "CREATE DATABASE mysql;\nUSE mysql;\n"
        for name in ["mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data"]:
            with open(f"/usr/share/mysql/{name}.sql", encoding="utf-8") as f:
                sql += f.read()
        options = self.as_nobody("/usr/sbin/mariadbd", "--no-defaults", "--bootstrap",
                                 f"--datadir={data}", "--skip-networking",
                                 "--innodb-buffer-pool-size=32M", input=sql.encode(), check=True)
        del options["stdin"]
        subprocess.run(**options)
        setup = os.path.join(self.folder, "setup.sql")
        with open(setup, "w", encoding="utf-8") as f:
            f.write("CREATE DATABASE IF NOT EXISTS `key store`;\n"
                    f"CREATE OR REPLACE USER keeper@'%' IDENTIFIED BY '{PASSWORD}';\n"
                    "GRANT ALL ON `key store`.* TO keeper@'%';\n")
        self.cert, key = os.path.join(self.folder, "cert.pem"), os.path.join(self.folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                        "-out", self.cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        os.chown(key, NOBODY, NOBODY)
        self.key_file = key
        self.url = f"mysql://keeper:{QUOTED}@127.0.0.1:{self.port}/key%20store"
        self.shown = f"mysql://keeper:***@127.0.0.1:{self.port}/key%20store"
        self.socket_url = f"mariadb://keeper:{QUOTED}@/key%20store?socket={self.socket}"
        self.no = "FALSE"

    def command(self):
        return ["/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.folder}/data",
                f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1",
                f"--pid-file={self.folder}/pid", f"--init-file={self.folder}/setup.sql",
                f"--ssl-cert={self.cert}", f"--ssl-key={self.key_file}",
                "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M",
                "--character-set-server=latin1"]

    def query(self, sql):
        """By the C client: there need not be a command for it."""
        if Mysql.client is None:
            c = Mysql.client = ctypes.CDLL("libmariadb.so.3")
            for name in ["mysql_init", "mysql_real_connect", "mysql_store_result"]:
                getattr(c, name).restype = ctypes.c_void_p
            c.mysql_fetch_row.restype = ctypes.POINTER(ctypes.c_char_p)
            c.mysql_error.restype = ctypes.c_char_p
        c = Mysql.client
        p = ctypes.c_void_p
        db = p(c.mysql_init(None))
        try:
            if not c.mysql_real_connect(db, None, b"keeper", PASSWORD.encode(), b"key store", 0,
                                        self.socket.encode(), ctypes.c_ulong(0)):
                raise RuntimeError(c.mysql_error(db))
            c.mysql_set_character_set(db, b"utf8mb4")
            data = sql.encode()
            if c.mysql_real_query(db, data, ctypes.c_ulong(len(data))):
                raise RuntimeError(c.mysql_error(db))
            result = c.mysql_store_result(db)
            rows = []
            while result and (row := c.mysql_fetch_row(p(result))):
                rows.append([None if row[i] is None else row[i].decode("utf-8", "replace")
                             for i in range(c.mysql_num_fields(p(result)))])
            if result:
                c.mysql_free_result(p(result))
            return rows
        finally:
            c.mysql_close(db)

    def dump(self):
        return repr(self.query("SELECT * FROM api_keys")).encode()


KINDS = {"sqlite": Sqlite, "postgres": Postgres, "mysql": Mysql}
