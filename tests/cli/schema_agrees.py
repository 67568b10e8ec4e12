# SPDX-License-Identifier: Apache-2.0
"""schema_agrees.py ISOL8 SCHEMA - the same samples, judged by the JSON Schema and by the program.

Unknown keys are left out: the schema refuses them, for editors, and the program only warns. So are
ranges of addresses and numbers of bytes that a regular expression cannot judge.
"""
import json
import os
import subprocess
import sys
import tempfile

import jsonschema

# Values by kind: what is fine, what is not.
MS = ([1, 5, 30000, 1e3, 604800000, None], [0, -1, 1.5, "1", True, [], {}, 1e15])
COUNT = ([0, 1, 999999999999999, None], [-1, 0.5, "0", False])
BOOL = ([True, False, None], [0, 1, "true", []])
TEXT = (["x", "a b", None], ["", 1, [], {}, True])
SIZE = (["512m", "1.5g", "1 g", "512MB", "1024", "10b", "1T", None],
        ["", "-1", "1e3", "m", "1gib", "50%", ".5g", 512, [], True, "512mm"])
STRINGS = ([[], ["a"], ["", "b"], None], ["a", {}, [1], [None], 3])
HOSTS = ([{}, {"a": "10.0.0.1"}, {"a": ["::1", "10.0.0.2"], "b": "fd00::1"}, None],
         [[], "a", {"a": "host"}, {"a": 1}, {"a": [1]}, {"": "10.0.0.1"}])
RANGES = ([[], ["10.0.0.0/8", "fd00::/8", "::1", "1.2.3.4"], None], ["x", ["x"], [1], {}, ["10.0.0.0/"]])
PORTS = ([[], [1, 80, 65535], None], [[0], [65536], ["80"], 80])
POOL = ([0, 3, {"clean": 0, "dirty": 1}, None],
        [-1, 1.5, "1", {"clean": 1}, {"clean": -1, "dirty": 1}, [], {"clean": None, "dirty": 1}])
IMAGE = {"tag": "t", "runtime": "python", "installPackages": ["numpy"]}
IMAGES = ([[], [IMAGE], [dict(IMAGE, setupScript="")], None],
          [{}, [1], [{}], [dict(IMAGE, tag="")], [dict(IMAGE, runtime="perl")],
           [dict(IMAGE, installPackages=[1])], [dict(IMAGE, setupScript=None)]])


def words(*allowed):
    return ([*allowed, None], ["", "other", 1, True, [], {}])


def whole(least, most):
    return ([least, most, None], [least - 1, most + 1, least + 0.5, str(least)])


KEYS = {
    "$schema": (["x", "", None], [1, []]),
    "maxConcurrent": whole(1, 4096),
    "defaults.timeoutMs": MS,
    "defaults.memoryLimit": (SIZE[0] + ["0"], SIZE[1]),
    "defaults.cpuLimit": ([0, 0.5, 4096, None], [-0.1, 4097, "1"]),
    "defaults.network": words("none", "host", "filtered"),
    "defaults.sandboxSize": (SIZE[0], SIZE[1] + ["0", "0.0m"]),
    "defaults.tmpSize": (SIZE[0], SIZE[1] + ["0"]),
    "defaults.readonlyRootFs": BOOL,
    "network.whitelist": STRINGS,
    "network.blacklist": STRINGS,
    "network.hosts": HOSTS,
    "network.allowAddresses": RANGES,
    "network.ports": PORTS,
    "network.upstreamProxy": (["http://p:1", "http://p", "http://p:1/", None], ["p:1", "https://p", "http://u:w@p", "http://", "http:///x", 1, ""]),
    "network.caFile": TEXT,
    "network.limits": ([{}, None], [[], 1, "x"]),
    "network.limits.connections": COUNT,
    "network.limits.bytesPerSecond": COUNT,
    "network.limits.bytes": COUNT,
    "cleanup.autoPrune": BOOL,
    "cleanup.maxContainerAgeMs": COUNT,
    "poolStrategy": words("secure", "fast"),
    "poolSize": POOL,
    "security": ([{}, None, {"seccomp": "custom", "customProfilePath": "p"}],
                 [1, [], {"seccomp": "custom"}, {"seccomp": "custom", "customProfilePath": None}]),
    "security.seccomp": words("strict", "unconfined"),
    "security.customProfilePath": TEXT,
    "security.userNamespace": words("on", "off"),
    "remoteCode.enabled": BOOL,
    "remoteCode.allowedSchemes": STRINGS,
    "remoteCode.allowedHosts": STRINGS,
    "remoteCode.blockedHosts": STRINGS,
    "remoteCode.maxCodeSize": whole(1, 1073741824),
    "remoteCode.fetchTimeoutMs": MS,
    "remoteCode.requireHash": BOOL,
    "remoteCode.enableCache": BOOL,
    "remoteCode.cacheTtl": COUNT,
    "audit.enabled": BOOL,
    "audit.destination": TEXT,
    "audit.logDir": TEXT,
    "audit.postLogScript": TEXT,
    "audit.trackResources": BOOL,
    "audit.retentionDays": ([-1, 0, 0.5, 90, None], ["90", [], True]),
    "audit.includeCode": BOOL,
    "audit.includeOutput": BOOL,
    "auth.enabled": BOOL,
    "auth.defaultTtlMs": MS,
    "auth.cleanupIntervalMs": MS,
    "auth.connectionString": TEXT,
    "prebuiltImages": IMAGES,
    "debug": BOOL,
    "runtime": TEXT,
    "cgroupParent": TEXT,
    "stateRoot": TEXT,
    "dataRoot": TEXT,
    "server": ([{}, None], [1, [], "x"]),
    "server.address": TEXT,
    "server.image": TEXT,
    "server.images": STRINGS,
    "server.prewarm": STRINGS,
    "server.allowWritableRootFs": BOOL,
    "server.allowPersist": BOOL,
    "server.maxConnections": whole(1, 65536),
    "server.maxQueue": whole(0, 65536),
    "server.maxSessions": whole(1, 65536),
    "server.maxBodySize": whole(1024, 1073741824),
    "server.maxMessageSize": whole(1024, 1073741824),
    "server.webSocket": BOOL,
    "server.shutdownGraceMs": whole(0, 604800000),
    "server.tlsCertificate": TEXT,
    "server.tlsKey": TEXT,
    "server.max": ([{}, None], [1, [], "x"]),
    "server.max.network": words("none", "host", "filtered"),
    "server.max.memory": (SIZE[0] + ["0"], SIZE[1]),
    "server.max.cpu": ([0, 0.5, 4096, None], [-0.1, 4097, "1"]),
    "server.max.pids": whole(0, 4194304),
    "server.max.timeoutMs": whole(0, 604800000),
    "server.max.outputSize": COUNT,
    "server.max.sandboxSize": (SIZE[0] + ["0"], SIZE[1]),
    "server.max.tmpSize": (SIZE[0] + ["0"], SIZE[1]),
    "defaults": ([{}, None], [1, [], "x"]),
    "audit": ([{}, None], [1, [], "x"]),
}


def samples():
    """Pairs of a document and whether it is valid."""
    for document in ([], "x", 1, None):
        yield document, False
    yield {}, True
    for path, (good, bad) in KEYS.items():
        for value, is_valid in [(v, True) for v in good] + [(v, False) for v in bad]:
            for name in reversed(path.split(".")):
                value = {name: value}
            yield value, is_valid


def main():
    isol8, schema = sys.argv[1:]
    with open(schema, encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    covered = set(KEYS)
    wrong = n = 0
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "config.json")
        for document, is_valid in samples():
            n += 1
            with open(name, "w", encoding="utf-8") as f:
                json.dump(document, f)
            run = subprocess.run([isol8, "config", "--json", "--config", name],
                                 capture_output=True, text=True, check=False)
            by_program = run.returncode == 0
            by_schema = validator.is_valid(document)
            if by_program != is_valid or by_schema != is_valid:
                wrong += 1
                print(f"{json.dumps(document)}: should be {is_valid}, schema {by_schema}, "
                      f"program {by_program} {run.stderr.strip()}")
            if by_program and not validator.is_valid(json.loads(run.stdout)):
                wrong += 1
                print(f"{json.dumps(document)}: the resolved form does not fit the schema")
    print(f"{n} samples, {len(covered)} keys, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
