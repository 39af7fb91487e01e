// The states of the workload by number: what the file must hold after a run that ended anywhere.
//
// They come from a run in memory that nothing disturbs. A state is a digest of every row of every table; the change log is compared change by change, because how much of it is kept is no part of a state.
import type { AnyTable, Manifest, Reader } from "../../../mod.ts";
import { BUILT_IN } from "../../../src/manifest/operations/built_in.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { rows, runWorkload } from "./workload.ts";

/** A digest of bytes, continued. */
function mix(hash: number, bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193) >>> 0;
  return hash;
}

const encoder = new TextEncoder();

function plain(value: unknown): string {
  return JSON.stringify(value, (_name, item: unknown) => {
    if (typeof item === "bigint") return `${item}n`;
    if (item instanceof Uint8Array) return `${item.length}:${mix(0x811c9dc5, item)}`;
    return item;
  });
}

function tableDigest(reader: Reader, table: AnyTable): string {
  let hash = 0x811c9dc5, count = 0;
  for (const [key, value] of reader.rangeBytes(table as never)) {
    hash = mix(mix(hash, encoder.encode(plain(key))), value);
    count++;
  }
  return `${count}:${hash.toString(16)}`;
}

/** The state of a manifest, change log apart. */
export function stateOf(manifest: Manifest): string {
  const names = new Set(manifest.listTables().map(({ name }) => name));
  const tables = [...BUILT_IN.map(({ table }) => table as AnyTable), rows as unknown as AnyTable].filter(({ name }) => names.has(name));
  const parts = tables.map((table) => `${table.name} ${tableDigest(manifest, table)}`);
  return [...parts, `changes ${manifest.latestChangeSequence()}`].join(", ");
}

/** A change without what differs from run to run. */
function changeText(manifest: Manifest, sequence: number): string | undefined {
  const change = manifest.getChange(sequence);
  return change && plain({ ...change, commitId: undefined });
}

/** Every state of the workload, and every change. */
export interface States {
  /** By number. */
  readonly states: readonly string[];
  /** By sequence, from 1 on; index 0 is empty. */
  readonly changes: readonly string[];
}

/** Runs the workload in memory and keeps every state. */
export async function workloadStates(): Promise<States> {
  const states: string[] = [], changes: string[] = [""];
  let manifest: Manifest;
  const keep = (): void => {
    states.push(stateOf(manifest));
    for (let sequence = changes.length; sequence <= manifest.latestChangeSequence(); sequence++) {
      changes.push(changeText(manifest, sequence)!);
    }
  };
  const file = new MemoryFile();
  let opened = false;
  await runWorkload(() => new MemoryStorage(file), {
    phase: () => {},
    opened: (open) => {
      manifest = open;
      if (!opened) keep();
      opened = true;
    },
    begin: () => {},
    done: keep,
  }, false);
  return { states, changes };
}

/** The numbers of the states that a manifest may be in; throws when its change log is not that of the workload. */
export function stateNumbers(manifest: Manifest, { states, changes }: States): number[] {
  const state = stateOf(manifest);
  const latest = manifest.latestChangeSequence();
  for (let sequence = manifest.stats().changes.oldest; sequence <= latest; sequence++) {
    if (sequence === 0) continue;
    const text = changeText(manifest, sequence);
    if (text !== changes[sequence]) throw new Error(`change ${sequence} is ${text}, expected ${changes[sequence]}`);
  }
  return states.flatMap((known, number) => known === state ? [number] : []);
}
