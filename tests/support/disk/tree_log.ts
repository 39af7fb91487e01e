// The calls that a folder has answered, and what a crash after some of them may still lose.
//
// Each file and each directory is made durable for itself: the bytes of a file by its sync, the names in a directory by the sync of that. A crash leaves what syncs cover and any part of the rest: writes as on a disk (kept,
// dropped, cut, spoilt), each change of names kept or dropped. A rename within a directory is one change, one between two directories are two: of a crash between them may be left both names or none.
import type { Fate } from "./change.ts";
import type { Divisible } from "./fates.ts";
import { landWrite, type Write } from "./landing.ts";
import { type FileState, type NodeId, type NodeRef, TreeState } from "./tree_state.ts";

/** A change of a file or of the names in a directory. `node`: which. `beside`: how many calls of the disk beside the folder were made before. */
export type TreeChange =
  & { readonly node: NodeId; readonly beside: number; readonly time: number }
  & (Write | { readonly kind: "names"; readonly sets: readonly (readonly [name: string, to: NodeRef | undefined])[] });

/** One call. `covers`: changes of the node before that index are durable when the sync has completed. */
export type TreeCall = TreeChange | { readonly kind: "sync"; readonly node: NodeId; readonly beside: number; readonly covers: number };

/** A crash: what it may lose, and what it leaves. */
export interface TreeCrash {
  /** The changes that it may lose. */
  readonly changes: readonly (TreeChange & Divisible)[];
  /** The tree when they have these fates. */
  build(fates: readonly Fate[]): TreeState;
}

/** The calls of a folder. */
export class TreeLog {
  readonly calls: TreeCall[] = [];
  readonly #start: TreeState;
  /** What is durable after the first `#at` calls, and the calls among them whose changes are not. */
  #base: TreeState;
  #at = 0;
  #pending: number[] = [];

  constructor(start: TreeState) {
    this.#start = start;
    this.#base = start;
  }

  /** The crash after the first `at` calls. */
  crash(at: number): TreeCrash {
    if (at < 0 || at > this.calls.length) throw new RangeError(`Cannot crash after call ${at}: there are ${this.calls.length}`);
    if (at < this.#at) [this.#base, this.#at, this.#pending] = [this.#start, 0, []];
    for (; this.#at < at; this.#at++) this.#advance(this.#at);
    const changes = this.#pending.map((index) => this.calls[index] as TreeChange);
    const base = this.#base;
    return { changes, build: (fates) => applied(base, changes, fates) };
  }

  #advance(index: number): void {
    const call = this.calls[index]!;
    if (call.kind !== "sync") {
      this.#pending.push(index);
      return;
    }
    const covered = this.#pending.filter((earlier) => earlier < call.covers && this.calls[earlier]!.node === call.node);
    if (covered.length === 0) return;
    this.#base = applied(this.#base, covered.map((earlier) => this.calls[earlier] as TreeChange));
    this.#pending = this.#pending.filter((earlier) => !covered.includes(earlier));
  }
}

/** A state with changes, which all are kept unless their fates are given. */
function applied(base: TreeState, changes: readonly TreeChange[], fates?: readonly Fate[]): TreeState {
  if (changes.length === 0) return base;
  const files = new Map(base.files);
  const directories = new Map(base.directories);
  const writes = new Map<NodeId, { change: TreeChange & Write; fate: Fate }[]>();
  const fresh = new Map<NodeId, Map<string, NodeRef>>();
  for (const [i, change] of changes.entries()) {
    const fate = fates?.[i] ?? "keep";
    if (fate === "drop") continue;
    if (change.kind === "write") {
      const list = writes.get(change.node);
      if (list === undefined) writes.set(change.node, [{ change, fate }]);
      else list.push({ change, fate });
      continue;
    }
    let names = fresh.get(change.node);
    if (names === undefined) {
      fresh.set(change.node, names = new Map(base.names(change.node)));
      directories.set(change.node, names);
    }
    for (const [name, to] of change.sets) {
      if (to === undefined) names.delete(name);
      else names.set(name, to);
    }
  }
  for (const [node, list] of writes) files.set(node, written(base.file(node), list));
  return new TreeState(files, directories);
}

function written(before: FileState, writes: readonly { change: TreeChange & Write; fate: Fate }[]): FileState {
  const longest = writes.reduce((longest, { change }) => Math.max(longest, change.at + change.data.length), before.bytes.length);
  const bytes = new Uint8Array(longest);
  bytes.set(before.bytes);
  let size = before.bytes.length, modifiedAt = before.modifiedAt;
  const landing = {
    land({ at, data }: Write, from: number, to: number) {
      if (to > from) this.write(at + from, data.subarray(from, to));
    },
    write(at: number, data: Uint8Array) {
      bytes.set(data, at);
      this.grow(at + data.length);
    },
    grow: (least: number) => void (size = Math.max(size, least)),
  };
  for (const { change, fate } of writes) {
    landWrite(change, fate, landing);
    modifiedAt = change.time;
  }
  return { bytes: bytes.subarray(0, size), modifiedAt };
}
