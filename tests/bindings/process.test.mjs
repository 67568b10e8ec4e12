// SPDX-License-Identifier: Apache-2.0
// process.test.mjs - how programs end: by themselves, early, from outside; workers; clean-up.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { assert, finish, program, test, until } from "./harness.mjs";

const sandboxes = path.join(process.env.ISOL8_STATE_ROOT ?? "/run/isol8", "sandboxes");

function left() {
  try {
    return readdirSync(sandboxes);
  } catch {
    return []; // no sandbox was ever made
  }
}

test("a program ends by itself when nothing is open, with and without stop()", async () => {
  for (const stop of ["await engine.stop();", ""]) {
    const end = await program(`
      const engine = new isol8.DockerIsol8();
      console.log((await engine.execute({ runtime: "bash", cmd: "echo hi" })).stdout);
      ${stop}`).end;
    assert.equal(end.code, 0, end.stderr);
    assert.equal(end.stdout, "hi\n");
    assert.equal(end.stderr, "");
    assert.deepEqual(left(), []);
  }
});

test("an execution that nobody awaits keeps the program alive", async () => {
  const end = await program(`
    const engine = new isol8.DockerIsol8();
    engine.execute({ runtime: "bash", cmd: "sleep 0.5; echo late" })
      .then((result) => console.log(result.stdout));`).end;
  assert.equal(end.stdout, "late\n");
  assert.equal(end.code, 0);
});

test("process.exit() in the middle leaves nothing, and the exit code is kept", async () => {
  const started = performance.now();
  const end = await program(`
    const engine = new isol8.DockerIsol8({}, 4);
    for (let i = 0; i < 8; i++) {
      engine.execute({ runtime: "bash", cmd: "sleep 25" });
    }
    void engine.executeStream({ runtime: "bash", cmd: "yes" }).next();
    setTimeout(() => process.exit(7), 500);`).end;
  assert.equal(end.code, 7, end.stderr);
  assert.deepEqual(left(), []);
  assert.ok(performance.now() - started < 15_000);
});

test("an uncaught exception leaves nothing either", async () => {
  const end = await program(`
    const engine = new isol8.DockerIsol8();
    void engine.execute({ runtime: "bash", cmd: "sleep 25" });
    setTimeout(() => { throw new Error("oh no"); }, 400);`).end;
  assert.equal(end.code, 1);
  assert.match(end.stderr, /oh no/);
  assert.deepEqual(left(), []);
});

test("after SIGKILL the sandboxes end, and the next program removes the rest", async () => {
  const running = program(`
    const engine = new isol8.DockerIsol8();
    const stream = engine.executeStream({ runtime: "bash", cmd: "echo up; sleep 25" });
    console.log((await stream.next()).value.data.trim());
    await stream.next();`);
  await until(() => running.stdout.includes("up"), "the sandbox");
  running.child.kill("SIGKILL");
  assert.equal((await running.end).signal, "SIGKILL");
  await until(async () => {
    const end = await program("new isol8.DockerIsol8();").end;
    assert.equal(end.code, 0, end.stderr);
    return left().length === 0;
  }, "the removal of what was left");
});

test("workers have engines of their own; one that is terminated leaves nothing", async () => {
  const end = await program(`
    const { Worker } = await import("node:worker_threads");
    const entry = JSON.stringify(process.env.ISOL8_NODE_PACKAGE + "/index.js");
    const source = (code) => \`
      const { parentPort } = require("node:worker_threads");
      const { DockerIsol8 } = require(\${entry});
      const engine = new DockerIsol8();
      \${code}\`;
    const start = (code) => new Worker(source(code), { eval: true });
    const message = (worker) => new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    const hello = (i) => message(start(
      'engine.execute({ runtime: "bash", cmd: "echo worker ' + i + '" })' +
      ".then((result) => parentPort.postMessage(result.stdout));"));
    console.log((await Promise.all([hello(1), hello(2)])).join());
    const stuck = start(
      'const stream = engine.executeStream({ runtime: "bash", cmd: "echo up; sleep 25" });' +
      "stream.next().then((event) => parentPort.postMessage(event.value.data));");
    console.log((await message(stuck)).trim());
    await stuck.terminate();
    const engine = new isol8.DockerIsol8();
    console.log((await engine.execute({ runtime: "bash", cmd: "echo main" })).stdout);`).end;
  assert.equal(end.stderr, "");
  assert.equal(end.stdout, "worker 1,worker 2\nup\nmain\n");
  assert.equal(end.code, 0);
  await until(() => left().length === 0, "the removal of the worker's sandbox");
});

test("engines that are garbage go away", async () => {
  const end = await program(`
    const { setFlagsFromString } = await import("node:v8");
    const { runInNewContext } = await import("node:vm");
    if (!process.versions.bun) {
      setFlagsFromString("--expose-gc");
    }
    const gc = process.versions.bun ? () => Bun.gc(true) : runInNewContext("gc");
    for (let i = 0; i < 20; i++) {
      await new isol8.DockerIsol8().execute({ runtime: "bash", cmd: "true" });
      void new isol8.DockerIsol8().executeStream({ runtime: "bash", cmd: "yes" }).next();
      gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    console.log("done");
    process.exit(0);`).end;
  assert.equal(end.stdout, "done\n", end.stderr);
  assert.equal(end.code, 0);
  assert.deepEqual(left(), []);
});

test("clean-up reports what it did", async () => {
  const data = mkdtempSync(path.join(tmpdir(), "isol8-bindings-"));
  const end = await program(`
    await Promise.resolve();
    const none = await isol8.DockerIsol8.cleanup({ a: "docker client" });
    console.log(JSON.stringify(none));`).end;
  assert.equal(end.stdout, '{"removed":0,"failed":0,"errors":[]}\n', end.stderr);
  process.env.ISOL8_DATA_ROOT_KEPT = process.env.ISOL8_DATA_ROOT;
  process.env.ISOL8_DATA_ROOT = data;
  try {
    const images = await program(
      "console.log(JSON.stringify(await isol8.DockerIsol8.cleanupImages()));",
    ).end;
    assert.equal(images.stdout, '{"removed":0,"failed":0,"errors":[]}\n', images.stderr);
  } finally {
    process.env.ISOL8_DATA_ROOT = process.env.ISOL8_DATA_ROOT_KEPT;
    rmSync(data, { recursive: true });
  }
});

await finish();
