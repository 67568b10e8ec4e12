// SPDX-License-Identifier: Apache-2.0
// index.js - the package: the class DockerIsol8 over the addon, and RemoteIsol8 beside it.
// index.d.ts documents them.
//
// Everything that may block runs on threads of the addon. The one thing done here and now is making
// an engine, so that wrong options are thrown by the constructor; that only checks them.
"use strict";

const check = require("./lib/check.js");
const native = require("./lib/native.js");
const { RemoteIsol8 } = require("./lib/remote.js");
const { EventStream } = require("./lib/stream.js");

class DockerIsol8 {
  #engine;

  constructor(options = {}, maxConcurrent = 10) {
    const checked = check.engineOptions(options, maxConcurrent);
    this.#engine = native.create(checked);
  }

  get containerId() {
    return native.containerId(this.#engine);
  }

  async start(options) {
    const checked = check.startOptions(options);
    if (checked.prewarm) {
      await native.start(this.#engine, checked);
    }
  }

  // What could not be removed does not hide the caller's own errors, nor go unsaid: clean-up
  // tries again.
  async stop() {
    try {
      await native.stop(this.#engine);
    } catch (error) {
      process.emitWarning(error.message, { code: error.code });
    }
  }

  async execute(request) {
    const checked = check.executionRequest(request);
    return JSON.parse(await native.execute(this.#engine, checked));
  }

  executeStream(request) {
    return new EventStream(() =>
      native.streamOpen(this.#engine, check.executionRequest(request)),
    );
  }

  async putFile(path, content) {
    if (typeof path !== "string") {
      throw check.wrong("path", path, "a string");
    }
    await native.putFile(this.#engine, { path, content: check.bytes("content", content) });
  }

  async getFile(path) {
    if (typeof path !== "string") {
      throw check.wrong("path", path, "a string");
    }
    return native.getFile(this.#engine, { path });
  }

  static async cleanup() {
    return native.cleanup(false);
  }

  static async cleanupImages() {
    return native.cleanup(true);
  }
}

const names = native.runtimes();
const extensions = ".py, .mjs, .js, .cjs, .ts, .sh, .mts";

const RuntimeRegistry = Object.freeze({
  list() {
    return names.map((name) => RuntimeRegistry.get(name));
  },

  get(name) {
    if (!names.includes(name)) {
      throw new Error(`Unknown runtime: "${name}". Available: ${names.join(", ")}`);
    }
    return Object.freeze({ name, image: `isol8:${name}` });
  },

  detect(fileName) {
    const name = native.detect(fileName);
    if (name === null) {
      throw new Error(
        `Cannot detect runtime for "${fileName}". Known extensions: ${extensions}`,
      );
    }
    return RuntimeRegistry.get(name);
  },
});

// Async, so that what is wrong with the options rejects like what is wrong with the host.
async function configureHost(options) {
  await native.configure(check.hostOptions(options));
}

module.exports = {
  DockerIsol8,
  Isol8: DockerIsol8,
  RemoteIsol8,
  RuntimeRegistry,
  VERSION: native.version(),
  configureHost,
};
