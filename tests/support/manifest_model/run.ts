// One run of the model of a manifest: seeded transactions, cursors, reclaims, faults, crashes and reopenings on a manifest and on the reference, side by side.
import { Manifest, memoryStorage, type ReadTransaction } from "../../../mod.ts";
import { compareList, compareTableNames, compareTables, compareUserRange } from "./compare.ts";
import { RunFaults } from "./run_faults.ts";
import { expectSame } from "./same.ts";
import type { State } from "./state.ts";
import type { Actions } from "./shapes.ts";
import { USER_DEFINITIONS } from "./user_tables.ts";

const VIEWS_MAX = 3;

/** One run. */
export class ModelRun extends RunFaults {
  protected override readonly actions: Readonly<Record<keyof Actions, () => void | Promise<void>>> = {
    commit: () => this.commitOne(),
    group: () => this.commitGroup(),
    transact: () => this.transact(),
    empty: () => this.commitNothing(),
    cursor: () => this.registerOrEnd(),
    fetch: () => this.fetch(),
    acknowledge: () => this.acknowledge(),
    reclaim: () => this.reclaim(),
    requeue: () => this.requeue(),
    reserve: () => this.reserve(),
    table: () => this.table(),
    misuse: () => this.misuse(),
    resolve: () => this.resolve(),
    read: () => this.readSome(),
    hold: () => this.hold(),
    release: () => this.release(),
    compare: () => this.compareAll(),
    check: () => this.check(),
    checkpoint: () => this.checkpoint(),
    reopen: () => this.reopen(),
    crash: () => this.crash(),
    fault: () => this.fault(),
    breakdown: () => this.breakdown(),
    readOnly: () => this.readOnly(),
  };

  protected override async end(): Promise<void> {
    this.clock.uncertain();
    await this.settle();
    await this.compareAll();
    await this.check();
    await this.reopen();
    this.tally();
    this.count("unreadable change", this.log.unreadable);
    await this.finish(this.manifest.close());
    await this.refuses("HANDLE_CLOSED", () => this.manifest.begin().putDb(1, { name: "x" }).commit());
  }

  // ---- tables and wrong calls -------------------------------------------------------------------------------

  /** Makes or drops a user table. */
  protected async table(): Promise<void> {
    const random = this.random;
    const { userTables } = this.state;
    if (userTables.size > 0 && random.chance(0.35)) {
      const name = random.pick([...userTables.keys()]);
      await this.finish(this.manifest.dropTable(random.chance(0.5) ? name : userTables.get(name)!.definition.table));
      userTables.delete(name);
      this.count("table dropped");
      await this.refuses("TABLE_UNKNOWN", () => this.manifest.dropTable(name));
    } else {
      const definition = random.pick(USER_DEFINITIONS);
      const there = userTables.get(definition.table.name);
      if (there !== undefined && there.definition.version > definition.version) {
        return await this.refuses("SCHEMA_TOO_NEW", () => this.manifest.createTable(definition.table));
      }
      await this.finish(this.manifest.createTable(definition.table));
      this.state.begin(this.clock.time);
      this.state.userTable(definition);
      this.count(there === undefined ? "table made" : there.definition === definition ? "table made again" : "table with more fields");
    }
    compareTableNames(this.manifest, this.state);
  }

  /** Calls that are wrong whatever the state. */
  protected async misuse(): Promise<void> {
    const random = this.random;
    const manifest = this.manifest;
    // deno-lint-ignore no-explicit-any
    const any = (value: unknown): any => value;
    const [id = 1] = this.cursorIds();
    const txn = manifest.begin();
    switch (random.int(12)) {
      case 0:
        await this.finish(txn.commit());
        await this.refuses("TXN_CLOSED", () => txn.putDb(1, { name: "x" }));
        return await this.refuses("TXN_CLOSED", () => txn.commit());
      case 1:
        txn.putDb(1, { name: "given up" }).rollback();
        return await this.refuses("TXN_CLOSED", () => txn.commit());
      case 2:
        return await this.refuses("INVALID_ARGUMENT", () => txn.put(any({}), [1], {}));
      case 3:
        return await this.refuses("INVALID_ARGUMENT", () => manifest.registerChangeCursor(random.pick(["", any(5), "x".repeat(256)])));
      case 4:
        return await this.refuses("INVALID_ARGUMENT", () => manifest.fetchChangePage(id, random.pick([0, -1, 0.5, any("5")])));
      case 5:
        return await this.refuses("CURSOR_UNKNOWN", () => manifest.acknowledgeChanges(1_000_000, 1));
      case 6:
        return await this.refuses("INVALID_ARGUMENT", () => manifest.reclaim(random.pick([-1, 0.5, any("1")]), () => {}));
      case 7:
        return await this.refuses("INVALID_ARGUMENT", () => manifest.reclaim(1, any(undefined)));
      case 8:
        return await this.refuses("INVALID_ARGUMENT", () => manifest.dropTable("db"));
      case 9: {
        const missing = USER_DEFINITIONS.find(({ table }) => !this.state.userTables.has(table.name));
        if (missing === undefined) return;
        return await this.refuses("TABLE_UNKNOWN", () => manifest.get(missing.table, this.draw.userKey(missing)));
      }
      case 10:
        return await this.refuses("INVALID_ARGUMENT", () => manifest.resolve("x"));
      default:
        return await this.refuses("INVALID_ARGUMENT", () => Manifest.open(memoryStorage(), { logRetention: { changes: -1 } }));
    }
  }

  // ---- comparing --------------------------------------------------------------------------------------------

  protected readSome(): void {
    const random = this.random;
    const held = this.views.length > 0 && random.chance(0.2) ? random.pick(this.views) : undefined;
    const reader = held?.view ?? this.manifest;
    const state = held?.state ?? this.state;
    for (let n = random.between(1, 4); n > 0; n--, this.reads++) compareList(reader, state, random);
    const tables = [...state.userTables.values()];
    if (tables.length === 0 || held !== undefined) return;
    const { definition, rows } = random.pick(tables);
    compareUserRange(reader, definition.table, rows, this.draw.bounds(definition), random.chance(0.5));
  }

  protected hold(): void {
    if (this.views.length === VIEWS_MAX) return;
    const view = this.manifest.read();
    expectSame(view.sequence, this.state.sequence, "the sequence of a read transaction");
    this.views.push({ view, state: this.state.copy() });
    this.count("read transaction");
  }

  protected release(): void {
    if (this.views.length === 0) return;
    const [{ view, state }] = this.views.splice(this.random.int(this.views.length), 1) as [{ view: ReadTransaction; state: State }];
    compareTables(view, state, this.random);
    view.close();
    this.reads++;
  }

  protected async check(): Promise<void> {
    const report = await this.finish(this.manifest.check({ level: "deep" }));
    expectSame(report.problems, [], "the deep check");
    if (!report.ok) throw new Error("the deep check is not ok");
    this.count("deep check");
  }

  protected async checkpoint(): Promise<void> {
    await this.finish(this.random.chance(0.8) ? this.manifest.checkpoint() : this.manifest.compact());
  }
}
