// Random records: every optional field there and absent, small and large values.
import type {
  ChunkDeltaInput,
  ChunkInput,
  DatabaseInput,
  JobPayload,
  RemoteNamespaceInput,
  RemoteObject,
  Residency,
  WalArtifactInput,
  WalStateInput,
} from "../../../mod.ts";
import type { Random } from "../random.ts";

const WORDS = ["", "a", "wal/7", "Größe", "日本", "🙂", "c-42.seg", "x y"];

/** Draws records. */
export class Records {
  readonly #random: Random;
  readonly #longest: number;

  /** `longest`: most bytes of a long value. */
  constructor(random: Random, longest: number) {
    this.#random = random;
    this.#longest = longest;
  }

  /** Leaves a field out now and then. */
  #maybe<T>(make: () => T, chance = 0.4): T | undefined {
    return this.#random.chance(chance) ? make() : undefined;
  }

  time(): number {
    return 1_600_000_000_000 + this.#random.int(1 << 30);
  }

  /** A number of any size that fits. */
  number(): number {
    return this.#random.pick([0, 1, 255, 65_536, 2 ** 32, Number.MAX_SAFE_INTEGER, this.#random.u32()]);
  }

  text(): string {
    const random = this.#random;
    return random.chance(0.3) ? random.pick(WORDS) : random.letters(random.between(1, random.chance(0.03) ? this.#longest : 12));
  }

  bytes(): Uint8Array {
    return this.#random.bytes(this.#random.chance(0.2) ? this.#random.int(this.#longest) : this.#random.int(24));
  }

  #remoteObject(): RemoteObject {
    const random = this.#random;
    return {
      namespaceId: random.int(5),
      originDb: random.int(9),
      chunkId: random.int(99),
      kind: random.pick([{ is: "base" }, { is: "delta", deltaId: 3 }, { is: "wal", shard: 65_535 }, { is: "custom", tag: 1 }]),
      generation: this.number(),
      etag: this.#maybe(() => this.text()),
    };
  }

  #residency(): Residency {
    const random = this.#random;
    switch (random.int(4)) {
      case 0:
        return { at: "local" };
      case 1:
        return { at: "evicted" };
      case 2:
        return { at: "remote", object: this.#remoteObject(), verified: random.chance(0.5) };
      default:
        return { at: "local-and-remote", object: this.#remoteObject(), verified: random.chance(0.5) };
    }
  }

  database(): DatabaseInput {
    const random = this.#random;
    return {
      name: this.text(),
      createdAt: this.#maybe(() => this.time()),
      walShards: this.#maybe(() => random.int(65_536)),
      options: this.#maybe(() => ({
        walDir: this.#maybe(() => this.text()),
        chunkDir: this.#maybe(() => this.text()),
        compression: random.chance(0.5) ? "zstd" as const : "none" as const,
        encryption: random.chance(0.5) ? "aes-256-gcm" as const : "none" as const,
        retention: random.chance(0.5) ? { keep: "generations" as const, count: random.int(9) } : { keep: "all" as const },
        labels: this.#maybe(() => Array.from({ length: random.int(4) }, () => this.text())),
      })),
      status: this.#maybe(() => random.pick([{ state: "active" }, { state: "draining" }, { state: "tombstoned", at: this.time() }])),
      configHash: this.#maybe(() => random.bytes(32)),
    };
  }

  walState(): WalStateInput {
    return {
      lastSealedSegment: this.#maybe(() => this.number()),
      lastAppliedLsn: this.#maybe(() => this.number()),
      lastCheckpointGeneration: this.#maybe(() => this.number()),
      restartEpoch: this.#maybe(() => this.#random.u32()),
      flushGate: this.#maybe(() => ({
        activeJobId: this.#maybe(() => this.number()),
        lastSuccessAt: this.#maybe(() => this.time()),
        erroredSince: this.#maybe(() => this.time()),
      })),
    };
  }

  walArtifact(): WalArtifactInput {
    const random = this.#random;
    return {
      kind: random.chance(0.5)
        ? { is: "segment", startPage: this.number(), endPage: this.number(), sizeBytes: this.number() }
        : { is: "bundle", frameCount: this.number() },
      localPath: this.text(),
      createdAt: this.#maybe(() => this.time()),
      remote: this.#maybe(() => this.#remoteObject()),
    };
  }

  chunk(generation: number | undefined, originDb: number | undefined): ChunkInput {
    return {
      fileName: this.text(),
      generation,
      originDb,
      sizeBytes: this.#maybe(() => this.number()),
      compression: this.#maybe(() => "zstd" as const),
      encrypted: this.#maybe(() => this.#random.chance(0.5)),
      residency: this.#maybe(() => this.#residency()),
      uploadedAt: this.#maybe(() => this.time(), 0.2),
      purgeAfter: this.#maybe(() => this.time(), 0.2),
      contentHash: this.#maybe(() => this.bytes(), 0.2),
      pageSize: this.#maybe(() => 4096, 0.2),
      pageCount: this.#maybe(() => this.number(), 0.2),
    };
  }

  delta(originDb: number | undefined): ChunkDeltaInput {
    return {
      fileName: this.text(),
      originDb,
      sizeBytes: this.#maybe(() => this.number()),
      residency: this.#maybe(() => this.#residency()),
      baseChunkId: this.#maybe(() => this.#random.int(9), 0.2),
    };
  }

  payload(): JobPayload {
    const random = this.#random;
    switch (random.int(4)) {
      case 0:
        return { is: "none" };
      case 1:
        return { is: "flush-shard", shard: random.u32() };
      case 2:
        return { is: "chunk-upload", chunkId: this.number() };
      default:
        return { is: "bytes", bytes: this.bytes() };
    }
  }

  namespace(): RemoteNamespaceInput {
    return { bucket: this.text(), prefix: this.#maybe(() => this.text()), encryptionProfile: this.#maybe(() => this.text()) };
  }
}
