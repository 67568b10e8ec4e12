// SPDX-License-Identifier: Apache-2.0
// check.js - the types of options and requests, before anything goes to the addon.
//
// A value of the wrong type is a TypeError that names the option, the value and what is expected.
// Whether a value makes sense (a memory limit, a pattern, a network mode) is the library's to say.
// Values of secrets and variables are never repeated. What is undefined or null is absent.
"use strict";

function show(value) {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  }
  if (Array.isArray(value)) {
    return "an array";
  }
  if (typeof value === "object" || typeof value === "function") {
    return value === null ? "null" : `${typeof value === "object" ? "an" : "a"} ${typeof value}`;
  }
  return String(value);
}

function wrong(name, value, expected) {
  return new TypeError(`${name}: ${show(value)} is not ${expected}`);
}

function isAbsent(value) {
  return value === undefined || value === null;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function string(name, value) {
  if (isAbsent(value)) {
    return undefined;
  }
  if (typeof value !== "string") {
    throw wrong(name, value, "a string");
  }
  return value;
}

function boolean(name, value) {
  if (isAbsent(value)) {
    return undefined;
  }
  if (typeof value !== "boolean") {
    throw wrong(name, value, "true or false");
  }
  return value;
}

function number(name, value) {
  if (isAbsent(value)) {
    return undefined;
  }
  if (typeof value !== "number" || Number.isNaN(value)) {
    throw wrong(name, value, "a number");
  }
  return value;
}

function whole(name, value, min = 0) {
  if (isAbsent(value)) {
    return undefined;
  }
  if (!Number.isSafeInteger(value) || value < min) {
    throw wrong(name, value, `a whole number${min === 0 ? ", 0 or more" : ""}`);
  }
  return value;
}

// Fractions of a millisecond are rounded up, so that no time limit becomes none.
function milliseconds(name, value) {
  const ms = number(name, value);
  if (ms === undefined) {
    return undefined;
  }
  if (!(ms > 0) || ms > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`${name}: ${ms} is not a positive number of milliseconds`);
  }
  return Math.ceil(ms);
}

function object(name, value) {
  if (isAbsent(value)) {
    return {};
  }
  if (!isObject(value)) {
    throw wrong(name, value, "an object");
  }
  return value;
}

function strings(name, value) {
  if (isAbsent(value)) {
    return undefined;
  }
  if (!Array.isArray(value)) {
    throw wrong(name, value, "an array of strings");
  }
  value.forEach((item, i) => {
    if (typeof item !== "string") {
      throw wrong(`${name}[${i}]`, item, "a string");
    }
  });
  return value;
}

// An object of strings, as [key, value, ...].
function pairs(name, value) {
  const list = [];
  for (const [key, item] of Object.entries(object(name, value))) {
    if (typeof item !== "string") {
      throw new TypeError(`${name}.${key}: a value of type ${typeof item} is not a string`);
    }
    list.push(key, item);
  }
  return list;
}

function bytes(name, value) {
  if (typeof value !== "string" && !(value instanceof Uint8Array)) {
    throw wrong(name, value, "a string, a Buffer or a Uint8Array");
  }
  return value;
}

// An object of paths and contents, as [path, content, ...].
function files(name, value) {
  const list = [];
  for (const [path, content] of Object.entries(object(name, value))) {
    list.push(path, bytes(`${name}[${JSON.stringify(path)}]`, content));
  }
  return list;
}

function poolSizes(value) {
  if (typeof value === "number" || isAbsent(value)) {
    const n = whole("poolSize", value);
    return { clean: n, dirty: n };
  }
  if (!isObject(value)) {
    throw wrong("poolSize", value, "a number or {clean, dirty}");
  }
  return {
    clean: whole("poolSize.clean", value.clean),
    dirty: whole("poolSize.dirty", value.dirty),
  };
}

function auditOptions(value) {
  if (isAbsent(value)) {
    return undefined;
  }
  const audit = object("audit", value);
  return {
    enabled: boolean("audit.enabled", audit.enabled),
    destination: string("audit.destination", audit.destination),
    logDir: string("audit.logDir", audit.logDir),
    postLogScript: string("audit.postLogScript", audit.postLogScript),
    trackResources: boolean("audit.trackResources", audit.trackResources),
    retentionDays: number("audit.retentionDays", audit.retentionDays),
    includeCode: boolean("audit.includeCode", audit.includeCode),
    includeOutput: boolean("audit.includeOutput", audit.includeOutput),
  };
}

// Who may have code fetched from a URL, in the addon's form.
function remoteCode(value) {
  if (isAbsent(value)) {
    return undefined;
  }
  const policy = object("remoteCode", value);
  return {
    enabled: boolean("remoteCode.enabled", policy.enabled),
    allowedSchemes: strings("remoteCode.allowedSchemes", policy.allowedSchemes),
    allowedHosts: strings("remoteCode.allowedHosts", policy.allowedHosts),
    blockedHosts: strings("remoteCode.blockedHosts", policy.blockedHosts),
    maxCodeSize: whole("remoteCode.maxCodeSize", policy.maxCodeSize),
    fetchTimeoutMs: milliseconds("remoteCode.fetchTimeoutMs", policy.fetchTimeoutMs),
    requireHash: boolean("remoteCode.requireHash", policy.requireHash),
    enableCache: boolean("remoteCode.enableCache", policy.enableCache),
    cacheTtl: whole("remoteCode.cacheTtl", policy.cacheTtl),
  };
}

function concurrency(value) {
  if (typeof value !== "number" || Number.isNaN(value)) {
    throw wrong("maxConcurrent", value, "a number");
  }
  if (value < 1) {
    throw new Error("Semaphore max must be >= 1");
  }
  if (value === Infinity) {
    return 4096; // the most that the library takes
  }
  return whole("maxConcurrent", value, 1);
}

// The constructor's arguments, in the addon's form.
function engineOptions(options, maxConcurrent) {
  const o = object("options", options);
  const filter = object("networkFilter", o.networkFilter);
  const security = object("security", o.security);
  const pool = poolSizes(o.poolSize);
  return {
    maxConcurrent: concurrency(maxConcurrent),
    mode: string("mode", o.mode),
    network: string("network", o.network),
    allow: strings("networkFilter.whitelist", filter.whitelist),
    deny: strings("networkFilter.blacklist", filter.blacklist),
    logNetwork: boolean("logNetwork", o.logNetwork),
    cpuLimit: number("cpuLimit", o.cpuLimit),
    memoryLimit: string("memoryLimit", o.memoryLimit),
    pidsLimit: whole("pidsLimit", o.pidsLimit, -1),
    readonlyRootFs: boolean("readonlyRootFs", o.readonlyRootFs),
    maxOutputSize: whole("maxOutputSize", o.maxOutputSize),
    secrets: pairs("secrets", o.secrets),
    timeoutMs: milliseconds("timeoutMs", o.timeoutMs),
    image: string("image", o.image),
    sandboxSize: string("sandboxSize", o.sandboxSize),
    tmpSize: string("tmpSize", o.tmpSize),
    debug: boolean("debug", o.debug),
    persist: boolean("persist", o.persist),
    seccomp: string("security.seccomp", security.seccomp),
    customProfilePath: string("security.customProfilePath", security.customProfilePath),
    audit: auditOptions(o.audit),
    remoteCode: remoteCode(o.remoteCode),
    poolStrategy: string("poolStrategy", o.poolStrategy),
    poolClean: pool.clean,
    poolDirty: pool.dirty,
  };
}

// start()'s argument.
function startOptions(options) {
  const { prewarm } = object("options", options);
  if (isAbsent(prewarm) || typeof prewarm === "boolean") {
    return { prewarm: prewarm === true };
  }
  if (!isObject(prewarm)) {
    throw wrong("prewarm", prewarm, "true, false or {runtimes}");
  }
  return { prewarm: true, runtimes: strings("prewarm.runtimes", prewarm.runtimes) };
}

// Present only when something is in it: empty source text counts as none.
function source(name, value) {
  const text = string(`ExecutionRequest.${name}`, value);
  return text === undefined || text.trim() === "" ? undefined : text;
}

// An ExecutionRequest, in the addon's form.
function executionRequest(request) {
  if (!isObject(request)) {
    throw wrong("request", request, "an ExecutionRequest");
  }
  const r = request;
  return {
    code: source("code", r.code),
    codeUrl: source("codeUrl", r.codeUrl),
    codeHash: string("codeHash", r.codeHash) || undefined,
    allowInsecureCodeUrl: boolean("allowInsecureCodeUrl", r.allowInsecureCodeUrl),
    cmd: source("cmd", r.cmd),
    runtime: string("runtime", r.runtime),
    timeoutMs: milliseconds("timeoutMs", r.timeoutMs),
    env: pairs("env", r.env),
    fileExtension: string("fileExtension", r.fileExtension),
    stdin: string("stdin", r.stdin) || undefined,
    files: files("files", r.files),
    outputPaths: strings("outputPaths", r.outputPaths),
    installPackages: strings("installPackages", r.installPackages),
    setupScript: string("setupScript", r.setupScript),
    workdir: string("workdir", r.workdir),
    agentFlags: string("agentFlags", r.agentFlags),
    metadata: pairs("metadata", r.metadata),
  };
}

function fixedHosts(hosts) {
  return Object.entries(object("network.hosts", hosts)).map(([name, value]) => ({
    name,
    addresses: strings(`network.hosts.${name}`, typeof value === "string" ? [value] : value) ?? [],
  }));
}

function ports(value) {
  if (isAbsent(value)) {
    return undefined;
  }
  if (!Array.isArray(value)) {
    throw wrong("network.ports", value, "an array of port numbers");
  }
  value.forEach((port, i) => {
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw wrong(`network.ports[${i}]`, port, "a port number");
    }
  });
  return value;
}

// configureHost()'s argument, in the addon's form.
function hostOptions(options) {
  const o = object("options", options);
  const network = object("network", o.network);
  const limits = object("network.limits", network.limits);
  return {
    stateRoot: string("stateRoot", o.stateRoot),
    dataRoot: string("dataRoot", o.dataRoot),
    runtime: string("runtime", o.runtime),
    cgroupParent: string("cgroupParent", o.cgroupParent),
    userNamespace: boolean("userNamespace", o.userNamespace),
    poolLingerMs: whole("poolLingerMs", o.poolLingerMs),
    network: {
      hosts: fixedHosts(network.hosts),
      allowAddresses: strings("network.allowAddresses", network.allowAddresses),
      ports: ports(network.ports),
      upstreamProxy: string("network.upstreamProxy", network.upstreamProxy),
      caFile: string("network.caFile", network.caFile),
      connections: whole("network.limits.connections", limits.connections),
      bytesPerSecond: whole("network.limits.bytesPerSecond", limits.bytesPerSecond),
      bytes: whole("network.limits.bytes", limits.bytes),
    },
  };
}

module.exports = {
  bytes,
  engineOptions,
  executionRequest,
  hostOptions,
  startOptions,
  wrong,
};
