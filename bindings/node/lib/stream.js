// SPDX-License-Identifier: Apache-2.0
// stream.js - the events of an execution, as an async iterator.
//
// It begins with the first next(). One crossing into the addon fetches whatever has come; the
// events are handed out one by one. Text is decoded as UTF-8 across chunks, one decoder for each
// stream and phase, so that no character is ever split. return(), which `break` calls, cancels the
// execution at once, even while a next() waits, and ends when its sandbox is gone.
"use strict";

const native = require("./native.js");

const types = ["stdout", "stderr", "exit", "error"];
const phases = ["setup", "code"];
const EXIT = types.indexOf("exit");

// A character that a stream of text broke off with becomes U+FFFD, before what comes next.
class Decoders {
  #decoders = new Map();

  text(type, phase, bytes) {
    const key = `${type} ${phase}`;
    let decoder = this.#decoders.get(key);
    if (decoder === undefined) {
      decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      this.#decoders.set(key, decoder);
    }
    return decoder.decode(bytes, { stream: true });
  }

  // What is left of the texts of a phase, as events.
  *rest() {
    for (const [key, decoder] of this.#decoders) {
      const data = decoder.decode();
      const [type, phase] = key.split(" ");
      if (data !== "") {
        yield { type, data, phase };
      }
    }
    this.#decoders.clear();
  }
}

class EventStream {
  #open;
  #stream;
  #events = [];
  #decoders = new Decoders();
  #last = Promise.resolve();
  #isOver = false;

  // open() makes the addon's stream; what it throws is thrown by the first next().
  constructor(open) {
    this.#open = open;
  }

  #decode(batch) {
    for (let i = 0; i < batch.length; i += 3) {
      const type = types[batch[i]];
      const phase = phases[batch[i + 1]];
      const bytes = batch[i + 2];
      if (batch[i] >= EXIT) {
        this.#events.push(...this.#decoders.rest());
        this.#events.push({ type, data: bytes.toString("utf8"), phase });
        continue;
      }
      const data = this.#decoders.text(type, phase, bytes);
      if (data !== "") {
        this.#events.push({ type, data, phase });
      }
    }
  }

  async #fetch() {
    while (this.#events.length === 0 && !this.#isOver) {
      this.#stream ??= this.#open();
      const batch = await native.streamNext(this.#stream);
      if (this.#isOver) {
        break; // return() came meanwhile
      }
      if (batch === null) {
        this.#isOver = true;
        this.#events.push(...this.#decoders.rest());
      } else {
        this.#decode(batch);
      }
    }
    const event = this.#events.shift();
    return event === undefined
      ? { value: undefined, done: true }
      : { value: event, done: false };
  }

  next() {
    const fetched = this.#last.then(async () => {
      try {
        return await this.#fetch();
      } catch (error) {
        this.#isOver = true;
        throw error;
      }
    });
    this.#last = fetched.catch(() => {});
    return fetched;
  }

  async return(value) {
    this.#isOver = true;
    this.#events = [];
    if (this.#stream !== undefined) {
      await native.streamClose(this.#stream);
    }
    return { value, done: true };
  }

  async throw(error) {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

module.exports = { EventStream };
