// A process that removes a file from the file set "default" and prunes every version before. Arguments: manifest, folder, the file's name.
import process from "node:process";
import { Manifest } from "../../../mod.ts";
import { fileFolder, FileSetCatalog } from "../../../src/catalogs/files/mod.ts";

const [path, folder, name] = process.argv.slice(2) as [string, string, string];
const manifest = await Manifest.open(path);
const catalog = await FileSetCatalog.open(manifest, fileFolder(folder));
await catalog.commit({ remove: [{ kind: "data", name }] });
await catalog.prune(1);
await manifest.close();
