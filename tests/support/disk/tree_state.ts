// A tree of directories and files as it lies on a medium. Never changed: a later state shares what is the same.

/** Number of a file or directory, the same whatever its names. */
export type NodeId = number;

/** What a name leads to. */
export interface NodeRef {
  readonly id: NodeId;
  readonly kind: "file" | "directory";
}

/** A file. */
export interface FileState {
  readonly bytes: Uint8Array;
  readonly modifiedAt: number;
}

/** A directory. */
export type Names = ReadonlyMap<string, NodeRef>;

/** The directory at the top. */
export const ROOT: NodeRef = { id: 0, kind: "directory" };

const EMPTY: FileState = { bytes: new Uint8Array(0), modifiedAt: 0 };
const NOTHING: Names = new Map();

/** A whole tree. A node that was never written is empty. */
export class TreeState {
  readonly files: ReadonlyMap<NodeId, FileState>;
  readonly directories: ReadonlyMap<NodeId, Names>;
  #hash: number | undefined;

  constructor(files: ReadonlyMap<NodeId, FileState> = new Map(), directories: ReadonlyMap<NodeId, Names> = new Map()) {
    this.files = files;
    this.directories = directories;
  }

  /** A file by number. */
  file(id: NodeId): FileState {
    return this.files.get(id) ?? EMPTY;
  }

  /** The names in a directory. */
  names(id: NodeId): Names {
    return this.directories.get(id) ?? NOTHING;
  }

  /** The highest number there is. */
  get highest(): NodeId {
    let highest = 0;
    for (const names of this.directories.values()) for (const { id } of names.values()) highest = Math.max(highest, id);
    for (const id of [...this.files.keys(), ...this.directories.keys()]) highest = Math.max(highest, id);
    return highest;
  }

  /** Every file that a name leads to, by path. */
  paths(): Map<string, Uint8Array> {
    const found = new Map<string, Uint8Array>();
    const walk = (directory: NodeId, before: string): void => {
      for (const [name, { id, kind }] of this.names(directory)) {
        if (kind === "file") found.set(before + name, this.file(id).bytes);
        else walk(id, `${before}${name}/`);
      }
    };
    walk(ROOT.id, "");
    return found;
  }

  /** 53 bits, equal for equal names and bytes, whatever the numbers. */
  hash(): number {
    return this.#hash ??= this.#hashOf(ROOT);
  }

  #hashOf({ id, kind }: NodeRef): number {
    if (kind === "file") return hashOfBytes(this.file(id).bytes);
    let sum0 = 1, sum1 = 2; // the order of names is not looked at
    for (const [name, node] of this.names(id)) {
      const [a, b] = halves(hashOfName(name)), [c, d] = halves(this.#hashOf(node));
      sum0 = (sum0 + mix(a ^ Math.imul(c, 0x9e3779b1) ^ d)) | 0;
      sum1 = (sum1 + mix(b ^ Math.imul(d, 0x85ebca77) ^ Math.imul(c, 0x27d4eb2f))) | 0;
    }
    return joined(mix(sum0), mix(sum1));
  }
}

const knownBytes = new WeakMap<Uint8Array, number>();
const knownNames = new Map<string, number>();

function hashOfBytes(bytes: Uint8Array): number {
  let hash = knownBytes.get(bytes);
  if (hash === undefined) knownBytes.set(bytes, hash = rawHash(bytes));
  return hash;
}

function hashOfName(name: string): number {
  let hash = knownNames.get(name);
  if (hash === undefined) knownNames.set(name, hash = rawHash(new TextEncoder().encode(name)));
  return hash;
}

function rawHash(bytes: Uint8Array): number {
  let a = bytes.length ^ 0x9e3779b1, b = bytes.length ^ 0x85ebca77;
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i]!, 0x01000193);
    b = Math.imul(b ^ bytes[i]!, 0x27d4eb2f);
    b ^= b >>> 15;
  }
  return joined(mix(a), mix(b));
}

function mix(value: number): number {
  let x = value ^ (value >>> 16);
  x = Math.imul(x, 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return x ^ (x >>> 15);
}

const joined = (high: number, low: number): number => ((high >>> 0) & 0x1fffff) * 0x1_0000_0000 + (low >>> 0);
const halves = (hash: number): [number, number] => [Math.floor(hash / 0x1_0000_0000), hash | 0];

/** One hash of two. */
export function hashPair(a: number, b: number): number {
  const [a1, a0] = halves(a), [b1, b0] = halves(b);
  return joined(mix(a1 ^ Math.imul(b0, 0x9e3779b1)), mix(a0 ^ Math.imul(b1, 0x85ebca77) ^ mix(b0)));
}
