// SPDX-License-Identifier: Apache-2.0
// run.test.mjs - buffered executions in the images: input, output, limits, many at once.
import { assert, cgroupParent, finish, isol8, test } from "./harness.mjs";

const { DockerIsol8, configureHost } = isol8;
await configureHost({ cgroupParent });
const engine = new DockerIsol8();

test("hello from every interpreter", async () => {
  const programs = {
    python: 'print("hello from python")',
    node: 'console.log("hello from node")',
    bun: 'console.log("hello from bun")',
    deno: 'console.log("hello from deno")',
    bash: "echo hello from bash",
  };
  for (const [runtime, code] of Object.entries(programs)) {
    const result = await engine.execute({ runtime, code });
    assert.equal(result.stdout, `hello from ${runtime}`, result.stderr);
    assert.equal(result.exitCode, 0);
    assert.equal(result.runtime, runtime);
  }
});

test("the result has the original's fields in their order, and ours behind", async () => {
  const result = await engine.execute({ runtime: "bash", cmd: "echo x" });
  const order = "stdout stderr exitCode durationMs truncated executionId runtime timestamp containerId";
  assert.equal(Object.keys(result).slice(0, 9).join(" "), order);
  assert.match(result.containerId, /^[0-9a-f]{64}$/);
  assert.match(result.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(result.verdict, "ok");
  assert.ok(result.resourceUsage.peakMemoryMB >= 0);
});

test("a program that fails is a result", async () => {
  const failed = await engine.execute({ runtime: "python", code: "import sys; sys.exit('no')" });
  assert.equal(failed.exitCode, 1);
  assert.equal(failed.stderr, "no");
  assert.equal(failed.verdict, "exit");
  const thrown = await engine.execute({ runtime: "node", code: "throw new Error('oh')" });
  assert.equal(thrown.exitCode, 1);
  assert.match(thrown.stderr, /Error: oh/);
});

test("the time limit kills and says so", async () => {
  const started = Date.now();
  const result = await engine.execute({ runtime: "python", code: "while 1: pass", timeoutMs: 300 });
  assert.equal(result.exitCode, 137);
  assert.equal(result.verdict, "timeout");
  assert.match(result.stderr, /--- EXECUTION TIMED OUT ---$/);
  assert.ok(Date.now() - started < 5000);
});

test("secrets are masked, variables arrive", async () => {
  const guarded = new DockerIsol8({ secrets: { API_KEY: "sk-abc123" } });
  const result = await guarded.execute({
    runtime: "bash",
    cmd: 'echo "key $API_KEY greeting $GREETING"; echo "$API_KEY" | rev >&2',
    env: { GREETING: "h\u00e9llo" },
  });
  assert.equal(result.stdout, "key *** greeting h\u00e9llo");
  assert.equal(result.stderr, "321cba-ks");
});

test("files in, files out, stdin, workdir, extension", async () => {
  const bytes = Buffer.from([0, 1, 2, 250, 255]);
  const result = await engine.execute({
    runtime: "python",
    code: `
import pathlib, sys
print(sys.stdin.read().upper(), pathlib.Path("deep/er/a.txt").read_text())
pathlib.Path("/sandbox/copy").write_bytes(pathlib.Path("/sandbox/b.bin").read_bytes())
print(pathlib.Path(__file__).suffix)`,
    stdin: "typed in",
    files: { "deep/er/a.txt": "text \u20ac", "b.bin": bytes, "/tmp/c": new Uint8Array([65]) },
    outputPaths: ["copy", "missing", "/tmp/c"],
    fileExtension: ".pyw",
  });
  assert.equal(result.stdout, "TYPED IN text \u20ac\n.pyw", result.stderr);
  assert.deepEqual(Object.keys(result.files), ["copy", "/tmp/c"]);
  assert.deepEqual(Buffer.from(result.files.copy, "base64"), bytes);
  const inside = await engine.execute({
    runtime: "bash",
    cmd: "pwd",
    files: { "d/x": "" },
    workdir: "d",
  });
  assert.equal(inside.stdout, "/sandbox/d");
});

test("source text may hold any character", async () => {
  const code = `print(len("""a\0b\u{1f600}\u00fc"""), "\u{1f600}")`;
  const result = await engine.execute({ runtime: "bash", cmd: "cat x", files: { x: code } });
  assert.equal(result.stdout, code);
});

test("too much output is cut, with the marker", async () => {
  const small = new DockerIsol8({ maxOutputSize: 1000 });
  const result = await small.execute({ runtime: "bash", cmd: "head -c 5000 /dev/zero | tr '\\0' x" });
  assert.equal(result.truncated, true);
  assert.match(result.stdout, /^x{1000}\n\n--- OUTPUT TRUNCATED \(5000 bytes, limit: 1000\) ---$/);
});

test("fifty at once do not mix, and the event loop goes on", async () => {
  const wide = new DockerIsol8({}, 20);
  let last = performance.now();
  let gap = 0;
  let ticks = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    gap = Math.max(gap, now - last);
    last = now;
    ticks++;
  }, 1);
  const results = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      wide.execute({ runtime: "python", code: `print(${i} * 7)`, env: { N: String(i) } }),
    ),
  );
  clearInterval(timer);
  results.forEach((result, i) => assert.equal(result.stdout, String(i * 7), result.stderr));
  assert.equal(new Set(results.map((result) => result.containerId)).size, 50);
  // One blocking call would be a sandbox's life, 20 ms and more, fifty times: over a second.
  assert.ok(gap < 500, `the longest gap was ${gap} ms`);
  assert.ok(ticks > 20, `${ticks} ticks`);
});

test("two hundred at once, more than are let in", async () => {
  const narrow = new DockerIsol8({ memoryLimit: "64m" }, 8);
  const results = await Promise.all(
    Array.from({ length: 200 }, (_, i) => narrow.execute({ runtime: "bash", cmd: `echo ${i}` })),
  );
  results.forEach((result, i) => assert.equal(result.stdout, String(i)));
});

test("maxConcurrent is kept, and those who wait are served in order", async () => {
  const one = new DockerIsol8({}, 1);
  const order = [];
  await Promise.all(
    [0, 1, 2].map(async (i) => {
      await one.execute({ runtime: "bash", cmd: "sleep 0.1" });
      order.push(i);
    }),
  );
  assert.deepEqual(order, [0, 1, 2]);
});

await finish();
