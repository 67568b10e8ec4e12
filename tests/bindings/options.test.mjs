// SPDX-License-Identifier: Apache-2.0
// options.test.mjs - the package's shape, and what the constructor and requests refuse, with words.
import { readFileSync } from "node:fs";
import path from "node:path";

import { assert, cgroupParent, finish, isol8, packageDir, require, test } from "./harness.mjs";

const { DockerIsol8, RuntimeRegistry, VERSION, configureHost } = isol8;
const description = JSON.parse(readFileSync(path.join(packageDir, "package.json"), "utf8"));

test("import and require give the same, and every file of the package is there", () => {
  const required = require(packageDir);
  assert.equal(required.DockerIsol8, DockerIsol8);
  assert.equal(required.Isol8, DockerIsol8);
  assert.equal(isol8.default.VERSION, VERSION);
  assert.equal(VERSION, description.version);
  assert.equal(description.dependencies, undefined);
  assert.equal(description.scripts, undefined);
  for (const file of description.files) {
    require("node:fs").accessSync(path.join(packageDir, file));
  }
});

test("the registry lists, gets and detects", () => {
  const names = ["python", "node", "bun", "bash", "deno", "agent"];
  assert.deepEqual(
    RuntimeRegistry.list().map((runtime) => runtime.name),
    names,
  );
  assert.equal(RuntimeRegistry.get("python").image, "isol8:python");
  assert.equal(RuntimeRegistry.detect("/a/b.test.py").name, "python");
  assert.equal(RuntimeRegistry.detect("x.ts").name, "bun");
  assert.throws(() => RuntimeRegistry.get("perl"), {
    message: `Unknown runtime: "perl". Available: ${names.join(", ")}`,
  });
  assert.throws(() => RuntimeRegistry.detect("x.pl"), /Cannot detect runtime for "x.pl"\. Known/);
});

test("the host is configured once, before the first engine", async () => {
  await assert.rejects(configureHost({ stateRoot: 5 }), {
    name: "TypeError",
    message: "stateRoot: 5 is not a string",
  });
  await assert.rejects(configureHost({ network: { ports: [0] } }), TypeError);
  await configureHost({ cgroupParent });
  await assert.rejects(configureHost({ cgroupParent }), { code: "ISOL8_E_STATE" });
});

test("the constructor takes everything that the original's does", () => {
  new DockerIsol8();
  new DockerIsol8({}, Infinity);
  new DockerIsol8(
    {
      mode: "ephemeral",
      network: "none",
      networkFilter: { whitelist: ["^a$"], blacklist: ["^b$"] },
      cpuLimit: 0.5,
      memoryLimit: "64m",
      pidsLimit: 0,
      readonlyRootFs: true,
      maxOutputSize: 10,
      secrets: { KEY: "value" },
      timeoutMs: 1500.5,
      image: "host",
      sandboxSize: "8m",
      tmpSize: "8m",
      debug: false,
      persist: false,
      logNetwork: true,
      security: { seccomp: "unconfined" },
      audit: { enabled: false, retentionDays: 1 },
      remoteCode: { enabled: true, allowedSchemes: ["https"] },
      poolStrategy: "fast",
      poolSize: { clean: 2, dirty: 0 },
      docker: { any: "thing" },
    },
    3,
  );
  new DockerIsol8({ poolSize: 2, networkFilter: { whitelist: undefined }, memoryLimit: undefined });
});

const refused = [
  [{ cpuLimit: "two" }, TypeError, 'cpuLimit: "two" is not a number'],
  [{ cpuLimit: NaN }, TypeError, "cpuLimit: NaN is not a number"],
  [{ memoryLimit: 512 }, TypeError, "memoryLimit: 512 is not a string"],
  [{ readonlyRootFs: "yes" }, TypeError, 'readonlyRootFs: "yes" is not true or false'],
  [{ maxOutputSize: -1 }, TypeError, "maxOutputSize: -1 is not a whole number, 0 or more"],
  [{ secrets: { TOKEN: 12345 } }, TypeError, "secrets.TOKEN: a value of type number is not a string"],
  [{ secrets: "x" }, TypeError, 'secrets: "x" is not an object'],
  [{ networkFilter: { whitelist: "^a$" } }, TypeError, 'networkFilter.whitelist: "^a$" is not an array of strings'],
  [{ networkFilter: { blacklist: [/a/] } }, TypeError, "networkFilter.blacklist[0]: an object is not a string"],
  [{ poolSize: "big" }, TypeError, 'poolSize: "big" is not a number or {clean, dirty}'],
  [{ audit: true }, TypeError, "audit: true is not an object"],
  [{ security: { seccomp: 1 } }, TypeError, "security.seccomp: 1 is not a string"],
  [{ timeoutMs: 0 }, RangeError, "timeoutMs: 0 is not a positive number of milliseconds"],
  ["options", TypeError, 'options: "options" is not an object'],
  [{ memoryLimit: "1gib" }, Error, 'Invalid memory limit format: "1gib". Use e.g. "512m", "1g".'],
  [{ network: "bridge" }, Error, "network: 'bridge' is not one of none, host, filtered"],
  [{ image: "a\0b" }, TypeError, "image must not contain NUL characters"],
];

test("what is wrong is thrown by the constructor, by name", () => {
  for (const [options, type, message] of refused) {
    assert.throws(
      () => new DockerIsol8(options),
      (error) => error instanceof type && error.message === message,
      message,
    );
  }
  for (const count of [0, -1, 0.5]) {
    assert.throws(() => new DockerIsol8({}, count), { message: "Semaphore max must be >= 1" });
  }
  assert.throws(() => new DockerIsol8({}, "10"), TypeError);
  assert.throws(
    () => new DockerIsol8({ network: "filtered", networkFilter: { whitelist: ["ok", "("] } }),
    /network\.whitelist\[1\]/,
  );
  assert.throws(
    () => new DockerIsol8({ security: { seccomp: "custom", customProfilePath: "/no/such" } }),
    /Failed to load custom seccomp profile at \/no\/such/,
  );
});

test("requests are refused by a rejection, before anything is made", async () => {
  const engine = new DockerIsol8({ image: "host" });
  const exclusive =
    "ExecutionRequest.code, ExecutionRequest.codeUrl, and ExecutionRequest.cmd are mutually " +
    "exclusive \u2014 provide exactly one.";
  const wrong = [
    [{ runtime: "python" }, "ExecutionRequest must include exactly one of: code, codeUrl, or cmd."],
    [{ runtime: "python", code: " \n" }, "ExecutionRequest must include exactly one of: code, codeUrl, or cmd."],
    [{ runtime: "python", code: "1", cmd: "2" }, exclusive],
    [{ runtime: "python", code: "1", codeUrl: "https://x.test/y" }, exclusive],
    [{ runtime: "python", codeUrl: "https://x.test/y" }, "Remote code fetching is disabled. Set remoteCode.enabled=true to allow it."],
    [{ runtime: "perl", code: "1" }, 'Unknown runtime: "perl". Available: python, node, bun, bash, deno, agent'],
    [{ runtime: "python", code: "1", workdir: "/etc" }, "Working directory must be inside /sandbox"],
    [{ runtime: "python", code: "1", timeoutMs: "5" }, 'timeoutMs: "5" is not a number'],
    [{ runtime: "python", code: "1", files: { "a.txt": 7 } }, 'files["a.txt"]: 7 is not a string, a Buffer or a Uint8Array'],
    [{ runtime: "python", code: "1", env: { A: null } }, "env.A: a value of type object is not a string"],
    [undefined, "request: undefined is not an ExecutionRequest"],
  ];
  for (const [request, message] of wrong) {
    await assert.rejects(engine.execute(request), { message });
    await assert.rejects(engine.executeStream(request).next(), { message });
  }
  await assert.rejects(engine.execute({ runtime: "agent", code: "hello" }), {
    code: "ISOL8_E_POLICY",
    message: /^Agent runtime requires network access\./,
  });
  await assert.rejects(engine.start({ prewarm: "all" }), TypeError);
});

await finish();
