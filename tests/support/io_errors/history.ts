// Names what has happened to a disk, so that the same is not looked at twice.
//
// A run with a fault begins like the run without, call for call: what is the same is compared, which is quick, and only what comes behind it is hashed.
import { Buffer } from "node:buffer";
import type { DiskCall } from "../disk/call_log.ts";

/** A name that two histories share when they are the same. `usual`: what most of them begin like. */
export function historyName(log: readonly DiskCall[], usual: readonly DiskCall[]): string {
  let first = 0;
  while (first < log.length && first < usual.length && isSame(log[first]!, usual[first]!)) first++;
  return `${first} ${log.length} ${hashOf(log, first)}`;
}

function isSame(a: DiskCall, b: DiskCall): boolean {
  if (a.kind === "sync") return b.kind === "sync" && a.covers === b.covers;
  if (a.kind === "truncate") return b.kind === "truncate" && a.size === b.size && a.doubtful === b.doubtful;
  return b.kind === "write" && a.at === b.at && a.doubtful === b.doubtful && a.data.length === b.data.length &&
    Buffer.compare(a.data, b.data) === 0;
}

/** Two hashes of what was written, of each write once: a history is named more than once. */
const contents = new WeakMap<DiskCall, readonly [number, number]>();

function contentOf(call: DiskCall & { readonly kind: "write" }): readonly [number, number] {
  let hashes = contents.get(call);
  if (hashes === undefined) {
    const { data } = call;
    let one = data.length, two = ~data.length;
    const words = new Uint32Array(data.buffer, data.byteOffset, data.length >>> 2);
    for (let i = 0; i < words.length; i++) {
      const word = words[i]!;
      one = Math.imul(one ^ word, 0x01000193);
      one ^= one >>> 15;
      two = Math.imul(two ^ word, 0x27d4eb2f);
      two ^= two >>> 15;
    }
    for (let i = words.length * 4; i < data.length; i++) {
      one = Math.imul(one ^ data[i]!, 0x01000193);
      two = Math.imul(two ^ data[i]!, 0x27d4eb2f);
    }
    contents.set(call, hashes = [one, two]);
  }
  return hashes;
}

function hashOf(log: readonly DiskCall[], first: number): string {
  let one = 0x811c9dc5, two = 0x9e3779b9;
  const add = (word: number): void => {
    one = Math.imul(one ^ word, 0x01000193);
    two = Math.imul(two ^ word, 0x27d4eb2f);
    two ^= two >>> 15;
  };
  for (let i = first; i < log.length; i++) {
    const call = log[i]!;
    if (call.kind === "sync") add(call.covers * 4 + 1);
    else if (call.kind === "truncate") add(call.size * 8 + (call.doubtful === true ? 4 : 0) + 2);
    else {
      add(call.at * 4 + (call.doubtful === true ? 1 : 0));
      for (const word of contentOf(call)) add(word);
    }
  }
  return `${one >>> 0} ${two >>> 0}`;
}
