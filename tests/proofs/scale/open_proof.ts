// Opening after a clean close reads a handful of pages at any size of the file: one with 1 GB of live rows. That file passes the full check.
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { bytes, defineTable, Manifest, u53 } from "../../../mod.ts";
import { openFile } from "../../../src/storage/file.ts";
import { CountingStorage } from "../../support/counting_storage.ts";
import { withFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { figure, runChild } from "../../support/proof_child.ts";

const LIVE = 1e9;
const PAGES = 16;
const table = defineTable({ name: "rows", key: [u53("id")], value: { data: bytes() } });

test("Manifest.open: a file with 1 GB of live rows that was closed cleanly is open after at most 16 pages, and passes the check", () =>
  withFolder(async (folder) => {
    const path = join(folder, "large.waybill");
    const [line] = await runChild("deno", "tests/support/children/proof_large.ts", [path, LIVE]);
    const { rows, live } = JSON.parse(line!) as { rows: number; live: number };
    assert(live >= LIVE);

    const storage = new CountingStorage(openFile(path), { recording: true });
    const fileBytes = storage.size();
    assert(fileBytes > LIVE);
    storage.reset();
    const started = performance.now();
    const manifest = await Manifest.open(storage, { idleCheckpoint: 0 });
    const milliseconds = performance.now() - started;
    const { read, write } = storage.counts;
    const { bytesRead, syncs } = storage;
    const pages = Math.ceil(bytesRead / 4096);
    assert(manifest.recovery.clean);
    assertEquals(manifest.count(table), rows);
    figure(
      `open: file of ${
        (fileBytes / 2 ** 20).toFixed(0)
      } MiB with ${live} bytes of live rows: ${pages} pages (${read} reads, ${bytesRead} bytes, the four meta slots among them), ${write} writes and ${syncs} syncs, ` +
        `${milliseconds.toFixed(1)} ms`,
    );
    assert(pages <= PAGES, `${pages} pages were read: ${JSON.stringify(storage.calls)}`);
    for (const id of [0, 1, Math.floor(rows / 2), rows - 1]) {
      const { data } = manifest.get(table, [id])!;
      assertEquals([new DataView(data.buffer, data.byteOffset).getUint32(0, true), data[500]], [id, id & 255]);
    }
    const checking = performance.now();
    const report = await manifest.check();
    assertEquals(report.problems, []);
    assert(report.ok);
    figure(`check: ${report.pages} pages, no finding, ${((performance.now() - checking) / 1000).toFixed(1)} s`);
    await manifest.close();
  }));
