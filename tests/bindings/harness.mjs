// SPDX-License-Identifier: Apache-2.0
// harness.mjs - what the tests of the package share: one test after the other, under any engine.
//
// The package is the folder ISOL8_NODE_PACKAGE. Sandboxes get cgroups of their own name, so that
// nothing else that runs on the machine comes between.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export { assert };
export const packageDir = path.resolve(process.env.ISOL8_NODE_PACKAGE);
export const require = createRequire(import.meta.url);
export const isol8 = await import(pathToFileURL(path.join(packageDir, "index.mjs")));
export const cgroupParent = "isol8-bindings";
export const here = path.dirname(fileURLToPath(import.meta.url));

const tests = [];

export function test(name, run) {
  tests.push({ name, run });
}

// Run what was registered. A test that takes longer than a minute has failed.
export async function finish() {
  let failed = 0;
  console.log(`1..${tests.length}`);
  for (const [i, { name, run }] of tests.entries()) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("takes longer than a minute")), 60_000);
    });
    try {
      await Promise.race([run(), late]);
      console.log(`ok ${i + 1} - ${name}`);
    } catch (error) {
      failed++;
      console.log(`not ok ${i + 1} - ${name}`);
      console.log(`${error?.stack ?? error}`.replace(/^/gm, "# "));
    }
    clearTimeout(timer);
  }
  if (failed > 0) {
    console.log(`# ${failed} of ${tests.length} failed`);
    process.exit(1); // what failed may still be waiting
  }
}

// The text's program under the same engine, with the package as `isol8`. Returns its end.
export function program(source, { timeoutMs = 30_000 } = {}) {
  const child = spawn(process.execPath, [path.join(here, "child.mjs")], {
    env: { ...process.env, CHILD_SOURCE: source },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const result = { stdout: "", stderr: "", child };
  child.stdout.on("data", (data) => (result.stdout += data));
  child.stderr.on("data", (data) => (result.stderr += data));
  result.end = new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`the program did not end: ${result.stdout}${result.stderr}`));
    }, timeoutMs);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ ...result, code, signal });
    });
  });
  return result;
}

// Wait until the condition holds, at most ten seconds.
export async function until(condition, what) {
  for (let i = 0; i < 500; i++) {
    if (await condition()) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited in vain for ${what}`);
}

export async function collect(stream) {
  const events = [];
  for await (const event of stream) {
    events.push(event);
  }
  return events;
}

export function text(events, type) {
  return events
    .filter((event) => event.type === type)
    .map((event) => event.data)
    .join("");
}
