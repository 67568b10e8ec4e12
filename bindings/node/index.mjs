// SPDX-License-Identifier: Apache-2.0
// index.mjs - the package for `import`; index.js is the package itself.
import isol8 from "./index.js";

export const { DockerIsol8, Isol8, RemoteIsol8, RuntimeRegistry, VERSION, configureHost } = isol8;
export default isol8;
