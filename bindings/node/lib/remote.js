// SPDX-License-Identifier: Apache-2.0
// remote.js - the class RemoteIsol8: an engine on an isol8 server. index.d.ts documents it.
//
// Requests and messages are those of the original's class, with its mistakes mended: a session's id
// travels over a WebSocket, too, ids are escaped, bytes of any kind of array are sent as what the
// server reads, and a stream that breaks off throws.
//
// Output is streamed over a WebSocket where the JavaScript engine has a class for it that sends
// headers (Bun, Node.js 22), else, or when the server refuses the upgrade, by server-sent events.
// The class does not tell why it was refused; when it was for the key, the other way says so.
"use strict";

const check = require("./check.js");

const messageMax = 16 * 1024 * 1024; // bytes of a message that servers take
const lineMax = 4 * 1024 * 1024; // characters of an event
const lost = "The connection to the server was lost before the program ended.";

// A Uint8Array becomes {"0":1,...} by itself; a Buffer {"type":"Buffer","data":[1,...]}.
function withBuffers(request) {
  if (typeof request?.files !== "object" || request.files === null) {
    return request;
  }
  const files = Object.entries(request.files).map(([path, content]) => [
    path,
    typeof content === "string" ? content : Buffer.from(check.bytes(`files.${path}`, content)),
  ]);
  return { ...request, files: Object.fromEntries(files) };
}

// What the server says went wrong.
async function reason(response) {
  try {
    const { error } = await response.json();
    if (typeof error === "string" && error !== "") {
      return error;
    }
  } catch {
    // no JSON: the status has to do
  }
  return response.statusText || `HTTP ${response.status}`;
}

function parse(text) {
  try {
    const event = JSON.parse(text);
    return typeof event?.type === "string" ? event : undefined;
  } catch {
    return undefined; // what is no event is passed over
  }
}

// Whether a stream may end after this event: a set-up that succeeds is followed by the program.
function isLast(event) {
  return (
    event.type === "error" ||
    (event.type === "exit" && !(event.phase === "setup" && event.data === "0"))
  );
}

// Events on their way from a socket that calls back to an iterator that asks.
class Queue {
  #events = [];
  #wake = null;
  #error = null;
  #isOver = false;

  put(event) {
    this.#events.push(event);
    this.#wake?.();
  }

  end(error = null) {
    this.#error ??= error;
    this.#isOver = true;
    this.#wake?.();
  }

  async *all() {
    for (;;) {
      while (this.#events.length > 0) {
        yield this.#events.shift();
      }
      if (this.#isOver) {
        break;
      }
      await new Promise((resolve) => (this.#wake = resolve));
      this.#wake = null;
    }
    if (this.#error !== null) {
      throw this.#error;
    }
  }
}

class RemoteIsol8 {
  #host;
  #apiKey;
  #sessionId;
  #options;
  #hasWebSocket = typeof globalThis.WebSocket === "function";

  constructor({ host, apiKey, sessionId } = {}, options) {
    for (const [name, value] of Object.entries({ host, apiKey })) {
      if (typeof value !== "string" || value === "") {
        throw check.wrong(name, value, "a string");
      }
    }
    const { protocol } = new URL(host);
    if (protocol !== "http:" && protocol !== "https:") {
      throw check.wrong("host", host, "an address that begins with http:// or https://");
    }
    this.#host = host.replace(/\/$/, "");
    this.#apiKey = apiKey;
    this.#sessionId = sessionId || undefined;
    this.#options = options;
  }

  #headers() {
    return { "Content-Type": "application/json", Authorization: `Bearer ${this.#apiKey}` };
  }

  // A redirect would carry the key to another place: it is an error.
  #fetch(path, { method = "GET", body, signal } = {}) {
    return fetch(this.#host + path, {
      method,
      headers: this.#headers(),
      body,
      signal,
      redirect: "manual",
    });
  }

  async #ask(path, what, args) {
    const response = await this.#fetch(path, args);
    if (!response.ok) {
      throw new Error(`${what}: ${await reason(response)}`);
    }
    return response;
  }

  #order(request) {
    return {
      request: withBuffers(request),
      options: this.#options,
      sessionId: this.#sessionId,
    };
  }

  async start() {
    const response = await this.#fetch("/health");
    await response.arrayBuffer();
    if (!response.ok) {
      throw new Error(`Remote server health check failed: ${response.status}`);
    }
  }

  async stop() {
    if (this.#sessionId !== undefined) {
      const path = `/session/${encodeURIComponent(this.#sessionId)}`;
      await (await this.#fetch(path, { method: "DELETE" })).arrayBuffer();
    }
  }

  async execute(request) {
    const body = JSON.stringify(this.#order(request));
    return (await this.#ask("/execute", "Execution failed", { method: "POST", body })).json();
  }

  async *executeStream(request) {
    const order = this.#order(request);
    let hasEnded = false;
    for await (const event of this.#events(order)) {
      hasEnded ||= isLast(event);
      yield event;
    }
    if (!hasEnded) {
      throw new Error(lost);
    }
  }

  async *#events(order) {
    const message = JSON.stringify({ type: "execute", ...order });
    const socket =
      this.#hasWebSocket && Buffer.byteLength(message) <= messageMax ? await this.#open() : null;
    if (socket === null) {
      yield* this.#sse(JSON.stringify(order));
    } else {
      yield* this.#overSocket(socket, message);
    }
  }

  // An open socket, or null when there is another way to go.
  async #open() {
    const address = `${this.#host.replace(/^http/i, "ws")}/execute/ws`;
    const { Authorization } = this.#headers();
    const socket = new WebSocket(address, { headers: { Authorization } });
    const isOpen = await new Promise((resolve) => {
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
      socket.onclose = () => resolve(false);
    });
    this.#hasWebSocket = isOpen;
    return isOpen ? socket : null;
  }

  // The caller's `break` closes the socket, at which the server kills the program.
  async *#overSocket(socket, message) {
    const queue = new Queue();
    socket.onmessage = ({ data }) => {
      const event = typeof data === "string" ? parse(data) : undefined;
      if (event !== undefined) {
        queue.put(event);
      }
    };
    socket.onerror = () => queue.end(new Error("WebSocket connection failed"));
    socket.onclose = () => queue.end();
    try {
      socket.send(message);
      yield* queue.all();
    } finally {
      socket.close();
    }
  }

  async *#sse(body) {
    const abort = new AbortController();
    try {
      const args = { method: "POST", body, signal: abort.signal };
      const response = await this.#ask("/execute/stream", "Stream failed", args);
      if (response.body === null) {
        throw new Error("No response body for streaming");
      }
      yield* this.#lines(response.body);
    } finally {
      abort.abort();
    }
  }

  async *#lines(stream) {
    const decoder = new TextDecoder();
    let kept = "";
    for await (const bytes of stream) {
      const lines = (kept + decoder.decode(bytes, { stream: true })).split("\n");
      kept = lines.pop();
      if (kept.length > lineMax) {
        throw new Error(`an event of the server's is larger than ${lineMax} characters`);
      }
      yield* this.#eventsOf(lines);
    }
    yield* this.#eventsOf([kept]);
  }

  *#eventsOf(lines) {
    for (const line of lines) {
      const event = line.startsWith("data: ") ? parse(line.slice(6)) : undefined;
      if (event !== undefined) {
        yield event;
      }
    }
  }

  #needsSession() {
    if (this.#sessionId === undefined) {
      throw new Error("File operations require a sessionId (persistent mode)");
    }
    return this.#sessionId;
  }

  async putFile(path, content) {
    const sessionId = this.#needsSession();
    const bytes = Buffer.from(check.bytes("content", content));
    const body = JSON.stringify({ sessionId, path, content: bytes.toString("base64") });
    await (await this.#ask("/file", "File upload failed", { method: "POST", body })).arrayBuffer();
  }

  async getFile(path) {
    const query = new URLSearchParams({ sessionId: this.#needsSession(), path });
    const response = await this.#ask(`/file?${query}`, "File download failed");
    return Buffer.from((await response.json()).content, "base64");
  }

  async listSessions() {
    return (await (await this.#ask("/sessions", "Failed to list sessions")).json()).sessions;
  }

  async deleteSession(id) {
    const path = `/session/${encodeURIComponent(id)}`;
    const response = await this.#ask(path, "Failed to delete session", { method: "DELETE" });
    await response.arrayBuffer();
  }
}

module.exports = { RemoteIsol8 };
