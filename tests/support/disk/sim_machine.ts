// A disk and a folder beside it, and the crashes of both at once: after any call of either, with the changes of both planned together.
import type { Random } from "../random.ts";
import type { CrashImage, DiskCrash } from "./crash.ts";
import { type Device, planFates } from "./fates.ts";
import type { ImageStorage } from "./image_storage.ts";
import type { CallIndex } from "./call_log.ts";
import { SimDisk } from "./sim_disk.ts";
import { SimFolder, type SimFolderOptions } from "./sim_folder.ts";
import { hashPair, type TreeState } from "./tree_state.ts";

/** Calls made of each when the power goes. */
export interface Moment {
  readonly disk: CallIndex;
  readonly folder: number;
}

/** A disk that can crash. */
interface Crashable {
  readonly calls: CallIndex;
  crash(at: CallIndex): DiskCrash;
}

/** What a crash could leave of both. Of its disk only the image built last is valid. */
export class MachineImage {
  /** Number among the images of its moment, with its seed: names it. */
  readonly index: number;
  readonly disk: CrashImage;
  readonly tree: TreeState;
  /** Equal for equal bytes. */
  readonly hash: number;

  constructor(index: number, disk: CrashImage, tree: TreeState) {
    this.index = index;
    this.disk = disk;
    this.tree = tree;
    this.hash = hashPair(disk.hash, tree.hash());
  }

  /** Both, as they are found after the crash. Their calls are recorded again unless it is known that they will not crash again. */
  open({ recording = true, ...options }: Omit<SimFolderOptions, "beside"> & { recording?: boolean } = {}): RecoveringMachine {
    return new RecoveringMachine(this, options, recording);
  }
}

/** Every moment at which the power could go, in order. */
export function momentsOf(diskCalls: CallIndex, folder: SimFolder): Moment[] {
  const moments: Moment[] = [];
  let at = 0;
  for (let disk = 0; disk <= diskCalls; disk++) {
    moments.push({ disk, folder: at });
    while (at < folder.calls && folder.log[at]!.beside <= disk) moments.push({ disk, folder: ++at });
  }
  return moments;
}

/** Images of a crash in which both lose something: the plans of `planFates` for the changes of both as one list. Without end unless nothing can be lost. */
function* crashes(disk: Crashable, folder: SimFolder, moment: Moment, device: Device, random: Random): Generator<MachineImage, void, void> {
  const left = disk.crash(moment.disk), right = folder.crash(moment.folder);
  let index = 0;
  for (const fates of planFates([...left.changes, ...right.changes], device, random)) {
    const image = left.build(index, fates.slice(0, left.changes.length));
    yield new MachineImage(index++, image, right.build(fates.slice(left.changes.length)));
  }
}

/** A disk and a folder on which something is done. */
export class SimMachine {
  readonly disk: SimDisk;
  readonly folder: SimFolder;
  readonly #device: Device;

  /** With these bytes and this tree, durable. */
  constructor(
    bytes?: Uint8Array,
    tree?: TreeState,
    device: Device = { sector: 512, garbage: true },
    options: Omit<SimFolderOptions, "beside"> = {},
  ) {
    this.#device = device;
    const disk = new SimDisk(bytes, device);
    this.disk = disk;
    this.folder = new SimFolder(tree, { ...options, beside: () => disk.calls });
  }

  /** Calls of both so far: the number of the present moment. */
  get calls(): number {
    return this.disk.calls + this.folder.calls;
  }

  /** Every moment by its number. */
  moments(): Moment[] {
    return momentsOf(this.disk.calls, this.folder);
  }

  /** Images that a crash at a moment could leave. The loop's body may run anything but another walk over images of this machine. */
  crashes(moment: Moment, random: Random): Generator<MachineImage, void, void> {
    return crashes(this.disk, this.folder, moment, this.#device, random);
  }
}

/** What a crash has left, being used again: it can crash again. */
export class RecoveringMachine {
  /** The handle whose calls are recorded. */
  readonly storage: ImageStorage;
  readonly folder: SimFolder;
  readonly #image: MachineImage;

  constructor(image: MachineImage, options: Omit<SimFolderOptions, "beside">, recording: boolean) {
    this.#image = image;
    this.storage = image.disk.open();
    this.storage.recording = recording;
    const { log } = this.storage;
    this.folder = new SimFolder(image.tree, { ...options, beside: () => log.calls.length });
  }

  /** Another handle on the disk, whose calls are not recorded: from here on the machine does not crash again. */
  reopen(): ImageStorage {
    this.storage.close();
    return this.#image.disk.open();
  }

  /** Calls of both so far. */
  get calls(): number {
    return this.storage.log.calls.length + this.folder.calls;
  }

  /** Every moment by its number. */
  moments(): Moment[] {
    return momentsOf(this.storage.log.calls.length, this.folder);
  }

  /** Images that a crash at a moment could leave; the storage cannot be used any more. */
  crashes(moment: Moment, random: Random, device: Device = { sector: 512, garbage: true }): Generator<MachineImage, void, void> {
    const { log } = this.storage;
    const { disk } = this.#image;
    return crashes({ calls: log.calls.length, crash: (at) => disk.crash(log, at) }, this.folder, moment, device, random);
  }
}
