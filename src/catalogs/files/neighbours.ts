// The other file sets of a manifest that may name files of one's folder.
//
// A manifest does not know where files are: that is what this process was told when the catalogs were opened. So a file set that was opened over another folder has no say; one over the same folder has; and one that nobody has opened
// here may be in this folder: what it names is not deleted.
import { listCatalogs } from "../catalog.ts";
import type { FileSetCore } from "./core.ts";
import type { Place } from "./desk.ts";

/** Another file set, which may be in the same folder. */
export interface Neighbour {
  /** Its name. */
  readonly name: string;
  /** Whether it is known to be in the folder. */
  readonly same: boolean;
}

/** The other file sets of a manifest that are not known to be elsewhere. */
export function neighboursOf({ manifest, catalog, desk }: FileSetCore, place: Place): Neighbour[] {
  const found: Neighbour[] = [];
  for (const { name, kind } of listCatalogs(manifest)) {
    if (kind !== "files" || name === catalog) continue;
    const standing = desk.standing(name, place);
    if (standing !== "apart") found.push({ name, same: standing === "same" });
  }
  return found;
}
