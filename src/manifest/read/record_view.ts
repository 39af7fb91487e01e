// Records of fixed width read where they lie: an object whose properties read kernel memory.
import { failType } from "../../errors.ts";
import type { AnyCodec } from "../bindings.ts";

/** A movable view of one record. */
export interface RecordView {
  /** The object with a property for each required field. */
  readonly record: object;
  /** Moves it to the record at an address. */
  move(at: number): void;
}

/** Makes the view of a table's records; a TypeError when a required field has no fixed width. */
export function makeRecordView(codec: AnyCodec): RecordView {
  const { table } = codec;
  let record = 0;
  const view = {};
  for (const member of table.value) {
    if (member.optional) continue;
    const field = codec.fixedField(member.name);
    if (field === undefined) {
      failType(`Cannot view "${table.name}": field "${member.name}" has no fixed place; use get`, {
        table: table.name,
        field: member.name,
      });
    }
    Object.defineProperty(view, member.name, { enumerable: true, get: () => field.read(record) });
  }
  return {
    record: Object.freeze(view),
    move: (at) => {
      record = at;
    },
  };
}
