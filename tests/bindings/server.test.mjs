// SPDX-License-Identifier: Apache-2.0
// server.test.mjs - RemoteIsol8 on a server of this machine, and with servers that misbehave.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";

import { assert, cgroupParent, collect, finish, isol8, test, text, until } from "./harness.mjs";

const { RemoteIsol8 } = isol8;
const apiKey = "a-key-of-the-tests-which-nobody-can-guess";

const folder = mkdtempSync(path.join(os.tmpdir(), "isol8-remote-"));
const probe = net.createServer();
await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
const { port } = probe.address();
await new Promise((resolve) => probe.close(resolve));
const config = path.join(folder, "config.json");
const settings = { image: "host", images: ["host"] };
writeFileSync(config, JSON.stringify({ cgroupParent, server: settings }));
const server = spawn(process.env.ISOL8, ["--config", config, "serve", "--port", `${port}`], {
  env: { ...process.env, LD_PRELOAD: "", ISOL8_API_KEY: apiKey, HOME: folder },
  stdio: ["ignore", "pipe", "inherit"],
});
process.on("exit", () => server.kill()); // whatever comes
let said = "";
server.stdout.on("data", (data) => (said += data));
await until(() => said.includes("listening on"), "the server");

const host = `http://127.0.0.1:${port}/`;
const bash = (cmd, more = {}) => ({ runtime: "bash", cmd, ...more });

test("buffered, streamed, with options, files and input", async () => {
  const engine = new RemoteIsol8({ host, apiKey }, { secrets: { S: "topsecret" } });
  await engine.start({ prewarm: true });
  const files = { a: "grüße", b: Buffer.from([0, 255]), c: new Uint8Array([1, 254]) };
  const cmd = "cat a - <&0; cat b c | od -An -tu1; echo $S; exit 3";
  const result = await engine.execute(bash(cmd, { files, stdin: "in" }));
  assert.equal(result.stdout, "grüßein   0 255   1 254\n***");
  assert.equal(result.exitCode, 3);
  const events = await collect(engine.executeStream(bash(cmd, { files, stdin: "in" })));
  assert.equal(text(events, "stdout"), "grüßein   0 255   1 254\n***\n");
  assert.deepEqual(events.at(-1), { type: "exit", data: "3", phase: "code" });
  await engine.stop();
});

test("a session keeps its files, also when it is streamed to", async () => {
  const engine = new RemoteIsol8({ host, apiKey, sessionId: "mine" });
  await collect(engine.executeStream(bash("echo kept >f")));
  assert.equal((await engine.execute(bash("cat f"))).stdout, "kept");
  await engine.putFile("g", new Uint8Array([0, 200]));
  assert.deepEqual([...(await engine.getFile("g"))], [0, 200]);
  const [session] = await engine.listSessions();
  assert.equal(session.id, "mine");
  assert.equal(session.isActive, false);
  await assert.rejects(engine.getFile("none"), /^Error: File download failed: /);
  await engine.stop();
  assert.deepEqual(await engine.listSessions(), []);
  await engine.deleteSession("a b?");
});

test("to stop reading ends the program", async () => {
  const engine = new RemoteIsol8({ host, apiKey, sessionId: "left" });
  for await (const event of engine.executeStream(bash("echo go; sleep 600"))) {
    assert.equal(event.data, "go\n");
    break;
  }
  await until(async () => !(await engine.listSessions())[0].isActive, "the end");
  await engine.stop();
});

test("refusals are errors with the server's words", async () => {
  const wrong = new RemoteIsol8({ host, apiKey: "wrong" });
  await assert.rejects(wrong.execute(bash("true")), {
    message: "Execution failed: Invalid API key",
  });
  await assert.rejects(collect(wrong.executeStream(bash("true"))), {
    message: "Stream failed: Invalid API key",
  });
  await assert.rejects(wrong.listSessions(), {
    message: "Failed to list sessions: Invalid API key",
  });
  await assert.rejects(wrong.deleteSession("x"), {
    message: "Failed to delete session: Invalid API key",
  });
  await assert.rejects(wrong.putFile("a", "b"), {
    message: "File operations require a sessionId (persistent mode)",
  });
  assert.throws(() => new RemoteIsol8({ host }), TypeError);
  assert.throws(() => new RemoteIsol8({ host: "ftp://x", apiKey }), TypeError);
});

// A server that answers every POST with these lines of a stream.
async function badServer(status, lines, run) {
  const bad = http.createServer((request, response) => {
    response.writeHead(request.method === "POST" ? status : 404);
    response.end(lines);
  });
  await new Promise((resolve) => bad.listen(0, "127.0.0.1", resolve));
  try {
    await run(new RemoteIsol8({ host: `http://127.0.0.1:${bad.address().port}`, apiKey }));
  } finally {
    bad.closeAllConnections?.();
    bad.close();
  }
}

test("streams of a server that misbehaves", async () => {
  const hello = 'data: {"type":"stdout","data":"a"}\n';
  await badServer(200, hello, async (engine) => {
    const events = [];
    await assert.rejects(async () => {
      for await (const event of engine.executeStream(bash("x"))) {
        events.push(event);
      }
    }, /The connection to the server was lost before the program ended/);
    assert.equal(text(events, "stdout"), "a");
    await assert.rejects(engine.start(), { message: "Remote server health check failed: 404" });
  });
  const odd = `: comment\ndata: nonsense\ndata: 7\n\n${hello}data: {"type":"exit","data":"0"}`;
  await badServer(200, odd, async (engine) => {
    const events = await collect(engine.executeStream(bash("x")));
    assert.deepEqual(events.map((event) => event.type), ["stdout", "exit"]);
  });
  await badServer(200, `data: ${"x".repeat(5 << 20)}`, async (engine) => {
    await assert.rejects(collect(engine.executeStream(bash("x"))), /is larger than/);
  });
  await badServer(302, "", async (engine) => {
    await assert.rejects(engine.execute(bash("x")), /^Error: Execution failed: /);
  });
});

try {
  await finish();
} finally {
  server.kill();
  await new Promise((resolve) => server.once("exit", resolve));
  rmSync(folder, { recursive: true });
}
