// SPDX-License-Identifier: Apache-2.0
// child.mjs - run the program in CHILD_SOURCE in a process of its own: how it ends is what counts.
import path from "node:path";
import { pathToFileURL } from "node:url";

const entry = path.join(path.resolve(process.env.ISOL8_NODE_PACKAGE), "index.mjs");
const isol8 = await import(pathToFileURL(entry));
await isol8.configureHost({ cgroupParent: "isol8-bindings" });
const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
await new AsyncFunction("isol8", process.env.CHILD_SOURCE)(isol8);
