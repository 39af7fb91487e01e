// Every code is met through the public API, and says what docs/errors.md says of it.
import { assert, assertEquals } from "@std/assert";
import { ERROR_CODES, type ErrorCode, type ManifestErrorFields } from "../../mod.ts";
import { test } from "../support/harness.ts";
import { commonFields, documented, operations } from "./document.ts";
import { DAMAGE } from "./provocations/damage.ts";
import { BACKUP } from "./provocations/backup.ts";
import { FILES } from "./provocations/files.ts";
import { LSM } from "./provocations/lsm.ts";
import type { Provocation, Provocations } from "./provocations/provocation.ts";
import { USAGE } from "./provocations/usage.ts";
import { WAITING } from "./provocations/waiting.ts";

const REGISTRY: Provocations = { ...USAGE, ...WAITING, ...DAMAGE, ...LSM, ...BACKUP };
for (const code of Object.keys(FILES) as ErrorCode[]) REGISTRY[code] = [...REGISTRY[code] ?? [], ...FILES[code]!];
const DOCUMENT = documented();
const COMMON = new Set(commonFields());
const OPERATIONS = new Set(operations());

function judge(code: ErrorCode, { what, outcome, handle, retryable }: Provocation, error: ManifestErrorFields): void {
  const entry = DOCUMENT.get(code)!;
  const expected = [code, entry.kind, outcome ?? entry.outcome, handle ?? entry.handle, retryable ?? entry.retryable];
  assertEquals([error.code, error.kind, error.outcome, error.handle, error.retryable], expected, `${what}: ${error.stack}`);
  assert(error.message.startsWith("Cannot "), `${what}: ${error.message}`);
  assert(OPERATIONS.has(error.op), `${what}: docs/errors.md lists no operation "${error.op}" (${error.message})`);
  const text = JSON.stringify(error);
  assert(!/secret|waybill-test-|\/tmp|\/home/.test(text + error.message), `${what}: a folder in ${text}`);
  const json = JSON.parse(text);
  assertEquals(
    [json.version, json.name, json.code, json.kind, json.outcome, json.handle, json.retryable, json.op, json.message],
    [1, error.name, ...expected, error.op, error.message],
    what,
  );
  assertEquals(Object.keys(json.detail).sort(), Object.keys(error.detail).filter((name) => error.detail[name] !== undefined).sort(), what);
}

for (const code of ERROR_CODES) {
  test(`${code}: every way to it ends as docs/errors.md says, and together they fill the detail`, async () => {
    const ways = REGISTRY[code] ?? [];
    assert(ways.length > 0, `nothing provokes ${code}`);
    const { fields } = DOCUMENT.get(code)!;
    const seen = new Set<string>();
    for (const way of ways) {
      const error = await way.provoke();
      judge(code, way, error);
      for (const name of Object.keys(error.detail)) {
        if (error.detail[name] === undefined) continue;
        assert(
          fields.includes(name) || (COMMON.has(name) && error.detail.operation !== undefined),
          `${way.what}: detail.${name} is not documented`,
        );
        seen.add(name);
      }
    }
    assertEquals(fields.filter((name) => !seen.has(name)), [], "documented and never there");
  });
}

test("provocations: there is one for every code, and for nothing else", () => {
  assertEquals(Object.keys(REGISTRY).sort(), [...ERROR_CODES].sort());
});
