// Replaying the journal: the groups behind the newest meta generation, in order, up to the end or a torn group.
//
// In the last group, damage beyond parity is a torn tail: the frames in front of it count, the rest is cut and reported. It is corruption when a valid later group
// says that this one had been durable. Invariant: frames are applied in order without a gap, or opening fails.
import { BODY_COMMITTED_AT, CTRL_OUT_AT, CTRL_OUT_COUNT, CTRL_TREE, OK } from "../../assembly/format.ts";
import { invariant } from "../errors.ts";
import type { Core } from "./core.ts";
import { type FoundGroup, GroupReader } from "./groups.ts";
import type { RecoveryReport } from "./types.ts";

/** A reader beside a writer looks this often for a group before it calls it damaged. */
const REREADS = 32;

/** Reads the journal of a store that was not closed. */
export class Replay {
  readonly #core: Core;
  readonly #report: RecoveryReport;
  readonly #groups: GroupReader;
  /** Whether something is left of the group that is not whole. */
  #remains = false;

  constructor(core: Core, report: RecoveryReport) {
    this.#core = core;
    this.#report = report;
    this.#groups = new GroupReader(core);
  }

  /** Applies every group that is there. Leaves the result as the published version. */
  run(): void {
    const { kernel, io, journal } = this.#core;
    for (;;) {
      let found = this.#find();
      if (!found || found.torn) found = this.#findAgain(found !== undefined);
      if (!found || found.torn) this.#groups.refuseUnreadable(found);
      if (!found) {
        if (this.#remains) this.#report.cut = { group: journal.nextGroup, frames: 0 };
        break;
      }
      this.#note(found);
      this.#apply(found.frames);
      if (found.torn) this.#report.cut = { group: journal.nextGroup, frames: found.frames };
      // A torn group is never counted as journal: the checkpoint behind recovery adopts its frames.
      journal.add(found, found.blocks);
      if (found.torn) break;
    }
    this.#groups.end();
    if (io.run(() => kernel.exports.groupSeal(), "recover") === OK) kernel.exports.versionPublish(kernel.word(CTRL_TREE));
  }

  /**
   * Applies the whole groups that a writer has added since, and publishes what they give; for a reader. A group that is not whole may be one that is being written: it is looked at again
   * the next time. Returns whether there was any.
   */
  follow(): boolean {
    const { kernel, io, journal } = this.#core;
    let any = false;
    for (let found = this.#find(); found && !found.torn; found = this.#find()) {
      this.#note(found);
      this.#apply(found.frames);
      journal.add(found, found.blocks);
      any = true;
    }
    this.#groups.end();
    if (any && io.run(() => kernel.exports.groupSeal(), "refresh") === OK) this.#core.publish(kernel.word(CTRL_TREE));
    return any;
  }

  /**
   * The next group is not whole. What is kept of a torn one is parsed again, because looking around uses the buffer. A reader may have looked while a writer was writing, or at what it had read before that: then the
   * group is whole the next time, and later ones prove nothing.
   */
  #findAgain(torn: boolean): FoundGroup | undefined {
    const { journal, file } = this.#core;
    for (let again = 0;; again++) {
      try {
        this.#remains = this.#groups.refuseLaterGroups(journal.nextGroup);
        return torn || this.#remains ? this.#find() : undefined;
      } catch (error) {
        if (!file.readOnly || again === REREADS) throw error;
        this.#groups.forget();
        const found = this.#find();
        if (found && !found.torn) return found;
        torn = found !== undefined;
      }
    }
  }

  /** `durable`, which costs a look at the group before it is parsed, is asked for when there is something that it may show. */
  #find(): FoundGroup | undefined {
    const { rebuilt, damagedGroups } = this.#report;
    return this.#groups.find(this.#core.kernel.exports.versionFrame(-1) + 1, rebuilt.length > damagedGroups.length);
  }

  /** Takes a group into the report. */
  #note({ group, rebuilt: block, durable }: FoundGroup): void {
    const { rebuilt, damagedGroups } = this.#report;
    for (const { group } of rebuilt.slice(damagedGroups.length)) if (group <= durable) damagedGroups.push(group);
    if (block >= 0) rebuilt.push({ group, block });
    this.#report.groups++;
  }

  #apply(frames: number): void {
    const { kernel, io } = this.#core;
    const x = kernel.exports;
    x.groupClear();
    x.groupRecord(0);
    for (let i = 0; i < frames; i++) {
      invariant(x.frameAt(i) === OK, "a parsed frame is missing");
      const at = kernel.word(CTRL_OUT_AT);
      const length = kernel.word(CTRL_OUT_COUNT);
      io.run(() => x.txnLoad(at, length), "recover");
      const view = new DataView(kernel.u8.buffer, at + BODY_COMMITTED_AT, 6);
      this.#core.committedAt = Math.max(this.#core.committedAt, view.getUint32(0, true) + view.getUint16(4, true) * 0x1_0000_0000);
      io.run(() => x.txnApply(), "recover");
    }
    x.groupClear();
    this.#report.frames += frames;
  }
}
