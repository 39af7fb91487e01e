// `page`: every page of a file, right and wrong, as text and JSON.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jsonLines, makeManifest, runCli } from "../support/cli.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

test("page: every page of a whole file is exit code 0 and says what it is; one behind the end is 4", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const pages = readFileSync(file).length / 4096;
    const kinds = new Set<unknown>();
    for (let page = 0; page < pages; page++) {
      const { code, out, err } = await runCli(["page", file, `${page}`, "--json"]);
      assertEquals([code, err], [0, ""], `page ${page}`);
      const [line, ...more] = jsonLines(out);
      assertEquals([line!.version, line!.type, line!.page, line!.offset, more.length], [1, "page", page, page * 4096, 0]);
      kinds.add(line!.kind);
    }
    for (const kind of ["meta", "journal", "leaf", "branch", "bitmap"]) assert(kinds.has(kind), kind);
    for (const page of [pages, 2 ** 31 - 2, 2 ** 31]) {
      const { code, out, err } = await runCli(["page", file, `${page}`]);
      assertEquals([code, out], [4, ""]);
      assertStringIncludes(err, "[INVALID_ARGUMENT]");
    }
  });
});

test("page: cells by their lengths, keys and values only with --values", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const page = `${readFileSync(file).lastIndexOf("a/b") >> 12}`;
    const plain = (await runCli(["page", file, page])).out;
    assertEquals(plain.slice(plain.indexOf("cell  key")), "cell  key  value  pointer\n   0   12     26\n   1   12     22\n");
    const shown = (await runCli(["page", file, page, "--values"])).out;
    assertStringIncludes(shown, "key digits");
    assertStringIncludes(shown, "0000000000000001612f6200");
    assert(!plain.includes("612f62"));
  });
});

test("page: one bad bit is exit code 2 and named", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const image = readFileSync(file);
    const page = image.lastIndexOf("a/b") >> 12;
    image[page * 4096 + 3000]! ^= 8;
    writeFileSync(file, image);
    const { code, out } = await runCli(["page", file, `${page}`]);
    assertEquals(code, 2);
    assertStringIncludes(out, "state   wrong: crc\n");
  });
});

test("page: without a readable meta slot the page size is an option", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const image = readFileSync(file);
    const page = image.lastIndexOf("a/b") >> 12;
    image.fill(0xff, 0, 4 * 4096);
    writeFileSync(file, image);
    for (const more of [[], ["--page-size", "4096"]]) {
      const { out } = await runCli(["page", file, `${page}`, ...more]);
      assertStringIncludes(out, "kind    leaf\n");
    }
    assertEquals((await runCli(["page", file, `${page >> 1}`, "--page-size", "5000"])).code, 4);
    assertStringIncludes((await runCli(["page", file, `${page >> 1}`, "--page-size", "8192"])).out, "8192 bytes");
  });
});
