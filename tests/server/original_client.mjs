// SPDX-License-Identifier: Apache-2.0
// original_client.mjs URL KEY - what clients of the original program send, and how they read answers
//
// A client written after the description of the original's RemoteIsol8: the same requests, in the
// same order, with its omissions (no session id over WebSocket, ids in paths not escaped). Prints
// one line of JSON for each check that failed, and how it streamed; exit code 1 if any failed.
import assert from "node:assert/strict";

const [host, key] = process.argv.slice(2);
const headers = { "Content-Type": "application/json", Authorization: `Bearer ${key}` };
const ID = `orig-${process.pid}`;
const hasWebSocket = typeof WebSocket !== "undefined";

async function call(method, path, body) {
  return fetch(host + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
}

async function failure(prefix, response) {
  const body = await response.json().catch(() => ({}));
  return new Error(`${prefix}: ${body.error ?? response.statusText}`);
}

class Client {
  constructor(options, sessionId) {
    this.options = options;
    this.sessionId = sessionId;
    this.useWebSocket = hasWebSocket ? undefined : false;
  }

  async start() {
    const r = await fetch(`${host}/health`);
    if (!r.ok) throw new Error(`Remote server health check failed: ${r.status}`);
  }

  async execute(request) {
    const r = await call("POST", "/execute", { request, options: this.options, sessionId: this.sessionId });
    if (!r.ok) throw await failure("Execution failed", r);
    return r.json();
  }

  async *executeStream(request) {
    if (this.useWebSocket !== false) {
      const events = await this.#overWebSocket(request);
      if (events !== undefined) {
        yield* events;
        return;
      }
    }
    yield* this.#overSse(request);
  }

  // All events, or undefined when the upgrade was refused.
  #overWebSocket(request) {
    return new Promise((resolve, reject) => {
      const events = [];
      let isOpen = false;
      const ws = new WebSocket(`${host.replace(/^http/, "ws")}/execute/ws`,
        { headers: { Authorization: headers.Authorization } });
      ws.onopen = () => {
        isOpen = this.useWebSocket = true;
        ws.send(JSON.stringify({ type: "execute", request, options: this.options }));
      };
      ws.onmessage = (m) => events.push(JSON.parse(m.data));
      ws.onclose = () => isOpen && resolve(events);
      ws.onerror = () => {
        if (isOpen) return reject(new Error("WebSocket connection failed"));
        this.useWebSocket = false;
        resolve(undefined);
      };
    });
  }

  async *#overSse(request) {
    const r = await call("POST", "/execute/stream", { request, options: this.options, sessionId: this.sessionId });
    if (!r.ok) throw await failure("Stream failed", r);
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of r.body) {
      text += decoder.decode(chunk, { stream: true });
      const lines = text.split("\n");
      text = lines.pop();
      for (const line of lines) if (line.startsWith("data: ")) yield JSON.parse(line.slice(6).trim());
    }
    if (text.startsWith("data: ")) yield JSON.parse(text.slice(6).trim());
  }

  async putFile(path, content) {
    const r = await call("POST", "/file",
      { sessionId: this.sessionId, path, content: Buffer.from(content).toString("base64") });
    if (!r.ok) throw new Error(`File upload failed: ${r.statusText}`);
  }

  async getFile(path) {
    const r = await call("GET", `/file?${new URLSearchParams({ sessionId: this.sessionId, path })}`);
    if (!r.ok) throw new Error(`File download failed: ${r.statusText}`);
    return Buffer.from((await r.json()).content, "base64");
  }

  async listSessions() {
    const r = await call("GET", "/sessions");
    if (!r.ok) throw await failure("Failed to list sessions", r);
    return (await r.json()).sessions;
  }

  async stop() {
    if (this.sessionId !== undefined) await call("DELETE", `/session/${this.sessionId}`);
  }
}

// What the original's command line puts in with --host.
const options = {
  mode: "ephemeral", network: "none", networkFilter: { whitelist: [], blacklist: [] }, memoryLimit: "512m",
  cpuLimit: 1, timeoutMs: 30000, debug: false, persist: false, remoteCode: {
    enabled: false, allowedSchemes: ["https"], allowedHosts: [], blockedHosts: [], maxCodeSize: 10485760,
    fetchTimeoutMs: 30000, requireHash: false, enableCache: true, cacheTtl: 3600,
  },
};
const bash = (code, more) => ({ runtime: "bash", timeoutMs: 30000, code, ...more });

async function all(events) {
  const list = [];
  for await (const e of events) list.push(e);
  return list;
}

const checks = {
  async start() {
    await new Client(options).start();
  },
  async execute() {
    const r = await new Client(options).execute(bash("echo out; echo err >&2; exit 3"));
    assert.deepEqual([r.stdout, r.stderr, r.exitCode, r.truncated], ["out", "err", 3, false]);
  },
  async executeFails() {
    await assert.rejects(new Client(options).execute({ runtime: "cobol", code: "x" }),
      /^Error: Execution failed: Unknown runtime: "cobol"/);
  },
  async stream() {
    const events = await all(new Client(options).executeStream(bash("echo one; sleep .1; echo two >&2; exit 5")));
    assert.deepEqual(events, [{ type: "stdout", data: "one\n", phase: "code" },
      { type: "stderr", data: "two\n", phase: "code" }, { type: "exit", data: "5", phase: "code" }]);
  },
  async streamFails() {
    const events = await all(new Client(options).executeStream({ runtime: "cobol", code: "x" }));
    assert.deepEqual([events.length, events[0].type, events[0].phase], [1, "error", undefined]);
    assert.match(events[0].data, /^Unknown runtime: "cobol"/);
  },
  async secondStreamOfAnObject() {
    const client = new Client(options);
    for (const word of ["a", "b"]) {
      const events = await all(client.executeStream(bash(`echo ${word}`)));
      assert.equal(events[0].data, `${word}\n`);
    }
    assert.equal(client.useWebSocket, hasWebSocket);
  },
  async persistentModeWithoutSessionOverWebSocket() {
    const client = new Client({ ...options, mode: "persistent" }, `${ID}-0`);
    const events = await all(client.executeStream(bash("echo fine")));
    assert.equal(events[0].data, "fine\n");
    await client.stop();
  },
  async filesAsBuffers() {
    const files = { "/sandbox/a/b.bin": Buffer.from([0, 255, 10]), "c.txt": "text\n" };
    const r = await new Client(options).execute(bash("od -An -tx1 a/b.bin; cat c.txt", { files }));
    assert.equal(r.stdout, " 00 ff 0a\ntext");
  },
  async session() {
    const client = new Client({ ...options, mode: "persistent" }, ID);
    await client.start();
    await client.execute(bash("echo kept >f"));
    assert.equal((await client.execute(bash("cat f"))).stdout, "kept");
    await client.putFile("/sandbox/g", "from outside");
    assert.equal((await client.execute(bash("cat g"))).stdout, "from outside");
    assert.equal((await client.getFile("/sandbox/f")).toString(), "kept\n");
    await assert.rejects(client.getFile("/sandbox/none"), /File download failed: Not Found/);
    const mine = (await client.listSessions()).filter((s) => s.id === ID);
    assert.equal(mine.length, 1);
    assert.equal(mine[0].isActive, false);
    assert.ok(Date.now() - Date.parse(mine[0].lastAccessedAt) < 60000);
    await assert.rejects(client.execute({ runtime: "python", code: "1" }), /Cannot switch runtime from "bash"/);
    await client.stop();
    assert.deepEqual((await client.listSessions()).filter((s) => s.id === ID), []);
  },
  async wrongKey() {
    const wrong = headers.Authorization;
    headers.Authorization = "Bearer wrong";
    try {
      await assert.rejects(new Client(options).execute(bash("1")), /Execution failed: Invalid API key/);
      await assert.rejects(all(new Client(options).executeStream(bash("1"))), /Stream failed: Invalid API key/);
    } finally {
      headers.Authorization = wrong;
    }
  },
  async quietForLong() {
    // The original's connections were cut after 10 s without a byte.
    const [r, events] = await Promise.all([new Client(options).execute(bash("sleep 13; echo late")),
      all(new Client(options).executeStream(bash("sleep 13; echo late")))]);
    assert.deepEqual([r.stdout, events[0].data], ["late", "late\n"]);
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
  } catch (e) {
    process.exitCode = 1;
    console.log(JSON.stringify({ name, error: String(e.stack ?? e) }));
  }
}
console.log(`${Object.keys(checks).length} checks, streamed by ${hasWebSocket ? "WebSocket" : "server-sent events"}`);
