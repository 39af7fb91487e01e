// Shows the engine: `deno run examples/lsm/main.ts` in memory, `deno run -A examples/lsm/main.ts DIRECTORY` on files, where every run goes on with what the one before has left.
import { Manifest, memoryStorage } from "@waybill/manifest";
import { fileFolder, type Folder, memoryFolder } from "@waybill/manifest/files";
import { Engine } from "./engine.ts";

const encoder = new TextEncoder(), decoder = new TextDecoder();
const SMALL = { memtableBytes: 16 << 10, tableBytes: 32 << 10, levelBytes: 64 << 10 };

/** Opens everything, in a directory or in memory. */
async function openAll(directory: string | undefined): Promise<[Manifest, Folder]> {
  if (directory === undefined) return [await Manifest.open(memoryStorage("example"), { create: true }), memoryFolder()];
  const folder = fileFolder(directory);
  await folder.makeDirectory("");
  return [await Manifest.open(`${directory}/MANIFEST`, { create: true }), folder];
}

const [manifest, folder] = await openAll((globalThis as { Deno?: { args: string[] } }).Deno?.args[0]);
{
  await using engine = await Engine.open({ manifest, folder, ...SMALL });
  const { replayed, torn, orphans } = engine.recovery;
  console.log(
    `opened: write ${engine.lastLsn} was the last; ${replayed} came from the log${
      torn ? ", which was torn" : ""
    }; ${orphans} orphans deleted`,
  );

  const key = (n: number): Uint8Array => encoder.encode(`key ${String(n).padStart(5, "0")}`);
  const first = engine.lastLsn;
  await Promise.all(Array.from({ length: 2000 }, (_, n) => engine.put(key(n), encoder.encode(`value ${first + n}`))));
  using before = engine.view();
  await Promise.all(Array.from({ length: 500 }, (_, n) => engine.delete(key(4 * n))));
  await engine.flush();
  await engine.compact({ all: true });

  const text = (value: Uint8Array | undefined): string => value === undefined ? "gone" : decoder.decode(value);
  console.log(`key 8: ${text(await engine.get(key(8)))}, in the view of before: ${text(await before.get(key(8)))}`);
  for await (const [name, value] of engine.scan({ from: key(7), to: key(11) })) console.log(`scan: ${text(name)} = ${text(value)}`);
  for (const { level, ssts, entries, sizeBytes } of engine.catalog.listLevels()) {
    console.log(`level ${level}: ${ssts} tables, ${entries} entries, ${sizeBytes} bytes`);
  }
}
await manifest.close();
