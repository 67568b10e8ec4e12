// SPDX-License-Identifier: Apache-2.0
// stream.test.mjs - events in order, whole characters, early ends, readers that do not read.
import { assert, cgroupParent, collect, finish, isol8, test, text } from "./harness.mjs";

const { DockerIsol8, configureHost } = isol8;
await configureHost({ cgroupParent });
const engine = new DockerIsol8();

test("events come in order, as they happen, and end with exit", async () => {
  const seen = [];
  const code = `
import sys, time
for i in range(3):
    print("line", i, flush=True)
    time.sleep(0.15)
print("bad", file=sys.stderr, flush=True)
sys.exit(4)`;
  for await (const event of engine.executeStream({ runtime: "python", code })) {
    seen.push({ ...event, at: performance.now() });
  }
  assert.equal(text(seen, "stdout"), "line 0\nline 1\nline 2\n");
  assert.equal(text(seen, "stderr"), "bad\n");
  const { at, ...last } = seen.at(-1);
  assert.deepEqual(last, { type: "exit", data: "4", phase: "code" });
  assert.ok(at - seen[0].at > 300, "events were held back");
});

test("a stream begins with its first next(), and ends once", async () => {
  const stream = engine.executeStream({ runtime: "bash", cmd: "echo a" });
  assert.equal(stream[Symbol.asyncIterator](), stream);
  const events = await collect(stream);
  assert.equal(events.length, 2);
  assert.deepEqual(await stream.next(), { value: undefined, done: true });
  assert.deepEqual(await stream.return("x"), { value: "x", done: true });
});

test("next() may be called ahead: answers come in order", async () => {
  const stream = engine.executeStream({ runtime: "bash", cmd: "echo a; sleep 0.1; echo b" });
  const events = await Promise.all([stream.next(), stream.next(), stream.next(), stream.next()]);
  assert.deepEqual(
    events.map((event) => event.value?.data),
    ["a\n", "b\n", "0", undefined],
  );
});

test("no character is split, whatever the chunks; a broken one is replaced", async () => {
  const code = `
import os, time
for b in "\u{1f600}\u20ac\u00fc".encode():
    os.write(1, bytes([b])); time.sleep(0.02)
os.write(1, b"\\xf0\\x9f")`;
  const events = await collect(engine.executeStream({ runtime: "python", code }));
  assert.equal(text(events, "stdout"), "\u{1f600}\u20ac\u00fc\ufffd");
  for (const event of events.slice(0, -2)) {
    assert.ok(!event.data.includes("\ufffd"), JSON.stringify(events));
  }
});

test("time limit and errors of isol8 itself", async () => {
  const late = await collect(
    engine.executeStream({ runtime: "bash", cmd: "echo x; sleep 9", timeoutMs: 300 }),
  );
  assert.deepEqual(late.slice(-2), [
    { type: "error", data: "EXECUTION TIMED OUT", phase: "code" },
    { type: "exit", data: "137", phase: "code" },
  ]);
  const missing = new DockerIsol8({ image: "no-such-image" });
  await assert.rejects(collect(missing.executeStream({ runtime: "bash", cmd: "true" })), {
    code: "ISOL8_E_IMAGE",
  });
});

test("secrets are masked, output is limited", async () => {
  const guarded = new DockerIsol8({ secrets: { KEY: "hush-hush" }, maxOutputSize: 100 });
  const cmd = 'printf hush-; sleep 0.1; echo "hush"; head -c 500 /dev/zero | tr "\\0" y';
  const events = await collect(guarded.executeStream({ runtime: "bash", cmd }));
  assert.match(text(events, "stdout"), /^\*\*\*\ny+/);
  assert.match(text(events, "stdout"), /--- OUTPUT TRUNCATED \(\d+ bytes, limit: 100\) ---/);
});

test("break ends the execution at once", async () => {
  const started = performance.now();
  for await (const event of engine.executeStream({ runtime: "bash", cmd: "yes" })) {
    assert.equal(event.type, "stdout");
    break;
  }
  const quiet = engine.executeStream({ runtime: "bash", cmd: "sleep 25" });
  const waiting = quiet.next();
  setTimeout(() => void quiet.return(), 200);
  assert.deepEqual(await waiting, { value: undefined, done: true });
  assert.ok(performance.now() - started < 10_000);
});

test("return() of one that waits for its turn does not wait", async () => {
  const one = new DockerIsol8({}, 1);
  const busy = one.execute({ runtime: "bash", cmd: "sleep 1" });
  const queued = one.executeStream({ runtime: "bash", cmd: "echo never" });
  const next = queued.next();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const started = performance.now();
  await queued.return();
  assert.ok(performance.now() - started < 500);
  assert.equal((await next).done, true);
  assert.equal((await busy).verdict, "ok");
});

test("an unread stream does not grow, and its time limit is kept", async () => {
  const big = new DockerIsol8({ maxOutputSize: 2 ** 33, timeoutMs: 1500 });
  const stream = big.executeStream({ runtime: "bash", cmd: "yes" });
  await stream.next();
  const before = process.memoryUsage().rss;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.ok(process.memoryUsage().rss - before < 32 << 20, "it grew");
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const events = await collect(stream);
  assert.equal(events.at(-1).data, "137");
  assert.ok(text(events, "stdout").length < 16 << 20);
});

test("a slow reader gets everything", async () => {
  const cmd = "seq 200000; echo end";
  let size = 0;
  let tail = "";
  const big = new DockerIsol8({ maxOutputSize: 10 << 20 });
  for await (const event of big.executeStream({ runtime: "bash", cmd })) {
    if (event.type === "stdout") {
      size += event.data.length;
      tail = event.data.slice(-4);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  assert.equal(size, 1288895 + 4);
  assert.equal(tail, "end\n");
});

await finish();
