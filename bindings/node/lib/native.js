// SPDX-License-Identifier: Apache-2.0
// native.js - load the addon: beside the package when it is installed or in the build folder, or
// from the build folder of the source tree that this file lies in.
"use strict";

const path = require("node:path");

const places = [
  path.join(__dirname, "..", "isol8.node"),
  path.join(__dirname, "..", "..", "..", "build", "bindings", "node", "isol8.node"),
];

function load() {
  const reasons = [];
  for (const place of places) {
    try {
      return require(place);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") {
        throw error;
      }
      reasons.push(place);
    }
  }
  throw new Error(
    `The isol8 addon is not built (looked for ${reasons.join(", ")}). ` +
      "Install Node's headers (Debian: libnode-dev) and build isol8 with -DISOL8_NODE=ON.",
  );
}

module.exports = load();
