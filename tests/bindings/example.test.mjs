// SPDX-License-Identifier: Apache-2.0
// example.test.mjs - the package's example runs where the package is found as "isol8", in both
// kinds of module, and says what it should.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { assert, finish, packageDir, test } from "./harness.mjs";

const project = mkdtempSync(path.join(tmpdir(), "isol8-example-"));
mkdirSync(path.join(project, "node_modules"));
symlinkSync(packageDir, path.join(project, "node_modules", "isol8"));

function run(...args) {
  const end = spawnSync(process.execPath, args, { cwd: project, encoding: "utf8" });
  assert.equal(end.status, 0, end.stderr);
  return end.stdout;
}

test("import and require find the package by its name", () => {
  writeFileSync(path.join(project, "a.mjs"), 'import { VERSION } from "isol8"; console.log(VERSION);');
  writeFileSync(path.join(project, "b.cjs"), 'console.log(require("isol8").VERSION);');
  assert.match(run("a.mjs"), /^\d+\.\d+\.\d+\n$/);
  assert.equal(run("a.mjs"), run("b.cjs"));
});

test("web-scraping.mjs", () => {
  copyFileSync(path.join(packageDir, "examples/web-scraping.mjs"), path.join(project, "web.mjs"));
  const said = run("web.mjs");
  for (const part of [
    "a/one has 42 stars\n",
    "Blocked: HTTP Error 403: Forbidden\n",
    "Containers, explained.\n",
    "b/two",
    "c/three",
    "api.test 200\nevil.test 403\nshop.evil-tld 403\n",
    "you sent Bearer ***\n",
  ]) {
    assert.ok(said.includes(part), `missing: ${part}\nin: ${said}`);
  }
  assert.ok(!said.includes("sk-proj"));
});

await finish();
rmSync(project, { recursive: true });
