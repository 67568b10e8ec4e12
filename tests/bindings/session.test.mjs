// SPDX-License-Identifier: Apache-2.0
// session.test.mjs - mode persistent, prepared sandboxes, start and stop.
import { createHash, randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";

import { assert, cgroupParent, collect, finish, isol8, program, test, text } from "./harness.mjs";

const { DockerIsol8, configureHost } = isol8;
await configureHost({ cgroupParent });

test("one sandbox for all executions, until stop()", async () => {
  const engine = new DockerIsol8({ mode: "persistent" });
  await engine.start();
  assert.equal(engine.containerId, null);
  const first = await engine.execute({ runtime: "python", code: "open('note', 'w').write('kept')" });
  assert.equal(first.exitCode, 0, first.stderr);
  assert.equal(engine.containerId, first.containerId);
  const second = await engine.execute({ runtime: "python", code: "print(open('note').read())" });
  assert.equal(second.stdout, "kept");
  assert.equal(second.containerId, first.containerId);
  const streamed = await collect(engine.executeStream({ runtime: "python", cmd: "cat note" }));
  assert.equal(text(streamed, "stdout"), "kept");
  await engine.stop();
  assert.equal(engine.containerId, null);
  const fresh = await engine.execute({ runtime: "python", cmd: "ls note 2>/dev/null || echo gone" });
  assert.equal(fresh.stdout, "gone");
  await engine.stop();
  await engine.stop();
});

test("the sandbox's id is known while its first execution runs", async () => {
  const engine = new DockerIsol8({ mode: "persistent" });
  const stream = engine.executeStream({ runtime: "bash", cmd: "echo up; sleep 0.2" });
  await stream.next();
  assert.match(engine.containerId, /^[0-9a-f]{64}$/);
  await collect(stream);
  await engine.stop();
  assert.equal(engine.containerId, null);
  assert.equal(new DockerIsol8().containerId, null);
});

test("a program that does not stop its session leaves nothing", async () => {
  const end = await program(`
    const engine = new isol8.DockerIsol8({ mode: "persistent" });
    await engine.execute({ runtime: "bash", cmd: "sleep 100 >/dev/null 2>&1 & echo" });
    await new isol8.DockerIsol8({ poolSize: 3 }).start({ prewarm: { runtimes: ["bash"] } });
    console.log("ready");`).end;
  assert.equal(end.stdout, "ready\n", end.stderr);
  assert.equal(end.code, 0);
  const state = process.env.ISOL8_STATE_ROOT ?? "/run/isol8";
  assert.deepEqual(readdirSync(`${state}/sandboxes`), []);
});

test("putFile and getFile carry any bytes, 10 MiB as well", async () => {
  const engine = new DockerIsol8({ mode: "persistent" });
  await engine.execute({ runtime: "bash", cmd: "true" });
  const big = randomBytes(10 << 20);
  const before = performance.now();
  let last = before;
  let gap = 0;
  const timer = setInterval(() => {
    gap = Math.max(gap, performance.now() - last);
    last = performance.now();
  }, 1);
  await engine.putFile("in/big.bin", big);
  const digest = createHash("sha256").update(big).digest("hex");
  const inside = await engine.execute({ runtime: "bash", cmd: "sha256sum < in/big.bin" });
  assert.equal(inside.stdout.split(" ")[0], digest);
  const back = await engine.getFile("/sandbox/in/big.bin");
  clearInterval(timer);
  assert.ok(Buffer.isBuffer(back));
  assert.ok(back.equals(big));
  assert.ok(gap < 500, `the longest gap was ${gap} ms`);

  await engine.putFile("/sandbox/t", "t\u00e9xt");
  assert.equal((await engine.getFile("t")).toString(), "t\u00e9xt");
  await engine.putFile("e", new Uint8Array());
  assert.equal((await engine.getFile("e")).length, 0);
  await assert.rejects(engine.getFile("nothing/here"), Error);
  await assert.rejects(engine.putFile(5, "x"), TypeError);
  await assert.rejects(engine.putFile("x", { no: 1 }), TypeError);
  await engine.stop();
});

test("files need a session", async () => {
  const engine = new DockerIsol8();
  await assert.rejects(engine.getFile("x"), { code: "ISOL8_E_STATE" });
  await assert.rejects(engine.putFile("x", "y"), { code: "ISOL8_E_STATE" });
});

test("the runtime is fixed by the first request", async () => {
  const engine = new DockerIsol8({ mode: "persistent" });
  await engine.execute({ runtime: "python", code: "1" });
  await assert.rejects(engine.execute({ runtime: "node", code: "1" }), {
    message:
      'Cannot switch runtime from "python" to "node". Each persistent container supports a ' +
      "single runtime. Create a new Isol8 instance for a different runtime.",
  });
  await engine.stop();
});

test("start() with prewarm prepares, and refuses what it does not know", async () => {
  const engine = new DockerIsol8({ poolSize: 2 });
  await engine.start({ prewarm: { runtimes: ["python", "bash"] } });
  const results = await Promise.all(
    [1, 2, 3].map((i) => engine.execute({ runtime: "python", code: `print(${i})` })),
  );
  assert.deepEqual(
    results.map((result) => result.stdout),
    ["1", "2", "3"],
  );
  await assert.rejects(engine.start({ prewarm: { runtimes: ["perl"] } }), /^Error: Unknown runtime: /);
  await engine.stop();
});

test("a set-up script's output is of phase setup", async () => {
  const engine = new DockerIsol8();
  const request = { runtime: "bash", cmd: "cat made", setupScript: "echo setting up; echo x >made" };
  const events = await collect(engine.executeStream(request));
  assert.deepEqual(events, [
    { type: "stdout", data: "setting up\n", phase: "setup" },
    { type: "exit", data: "0", phase: "setup" },
    { type: "stdout", data: "x\n", phase: "code" },
    { type: "exit", data: "0", phase: "code" },
  ]);
  await assert.rejects(
    engine.execute({ runtime: "bash", cmd: "true", setupScript: "echo why >&2; exit 3" }),
    /Setup script failed \(exit code 3\): why/,
  );
});

await finish();
