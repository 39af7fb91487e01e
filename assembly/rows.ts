// A scanned chunk decoded at once: key and value tapes of all its rows, one behind the other.
import { CODEC_KEY, CODEC_RECORD, CTRL_ERROR_OP, CTRL_TAPE_AT, CTRL_TAPE_VALUES_AT, INVALID_FIELD, OK, OUT_OF_MEMORY } from "./format";
import { areaReset, areaTake, codecRoot, NODE_TAPE } from "./codec";
import { setWord } from "./ctrl";
import { keyDecode } from "./key";
import { recordDecode } from "./record";

/** Value length of a row whose value lies in an overflow run. */
const IN_RUN: u32 = 0xffffffff;

/**
 * Decodes `rows` rows: the index at `rowsAt` holds 4 u32 a row {key offset, key length, value offset, value length}, offsets from `dataAt`. Codec 0
 * leaves that side out. CTRL_TAPE_AT and CTRL_TAPE_VALUES_AT are the first tapes; they lie `codecTape` bytes apart and stay valid, like what they
 * point to, until the next decoding call or the end of the chunk. The tape of a value in an overflow run is left undefined. An error names the row
 * in CTRL_ERROR_OP.
 */
export function rowsDecode(rowsAt: usize, rows: u32, dataAt: usize, keyCodec: u32, valueCodec: u32): i32 {
  const keyRoot = keyCodec ? codecRoot(keyCodec, CODEC_KEY) : 0;
  const valueRoot = valueCodec ? codecRoot(valueCodec, CODEC_RECORD) : 0;
  if ((keyCodec && !keyRoot) || (valueCodec && !valueRoot)) return INVALID_FIELD;
  areaReset();
  let keyTape: usize = 0;
  let valueTape: usize = 0;
  let keyStep: u32 = 0;
  let valueStep: u32 = 0;
  if (keyRoot) {
    keyStep = load<u32>(keyRoot, NODE_TAPE);
    keyTape = areaTake(<u64> keyStep * rows);
    if (!keyTape) return OUT_OF_MEMORY;
  }
  if (valueRoot) {
    valueStep = load<u32>(valueRoot, NODE_TAPE);
    valueTape = areaTake(<u64> valueStep * rows);
    if (!valueTape) return OUT_OF_MEMORY;
  }
  setWord(CTRL_TAPE_AT, <u32> keyTape);
  setWord(CTRL_TAPE_VALUES_AT, <u32> valueTape);
  for (let i: u32 = 0; i < rows; i++) {
    if (keyRoot) {
      const status = keyDecode(keyRoot, dataAt + load<u32>(rowsAt), load<u32>(rowsAt, 4), keyTape);
      if (status != OK) {
        setWord(CTRL_ERROR_OP, i);
        return status;
      }
      keyTape += keyStep;
    }
    if (valueRoot) {
      const length = load<u32>(rowsAt, 12);
      if (length != IN_RUN) {
        const status = recordDecode(valueRoot, dataAt + load<u32>(rowsAt, 8), length, valueTape);
        if (status != OK) {
          setWord(CTRL_ERROR_OP, i);
          return status;
        }
      }
      valueTape += valueStep;
    }
    rowsAt += 16;
  }
  return OK;
}
