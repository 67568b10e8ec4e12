// SPDX-License-Identifier: Apache-2.0
// node.d.ts - what stands in for @types/node in the test of the types.
declare class Buffer extends Uint8Array {
  static from(data: any, second?: any, third?: any): Buffer;
  toString(encoding?: string): string;
}
declare const console: { log(...values: unknown[]): void };
