/**
 * What a program does with one of its connections: reads, writes, pauses,
 * closes in one way or the other, fails, gets in the way of others.
 *
 * @module
 */

import type {
  Connection,
  ConnectionHandlers,
} from "../../src/reactor/connection.ts";
import { engineOf } from "../util/engine.ts";
import { expectTagged, taggedBytes } from "./bytes.ts";
import { PlannedError } from "./http_handler.ts";
import type { Peer } from "./peer.ts";
import type { World } from "./world.ts";

const KINDS = [
  "sink",
  "sink",
  "source",
  "source",
  "echo",
  "rival",
  "meddler",
  "thrower",
  "closer",
] as const;
/** Where most get in the way of others. */
const CROWD_KINDS = [
  "meddler",
  "meddler",
  "meddler",
  "echo",
  "sink",
  "source",
] as const;
const WRITTEN_BYTES_MAX = 300_000;
/** The most that is written at once. */
export const PIECE_BYTES_MAX = 20_000;
const PAUSE_MS = 20;
/** How often one of those that upgrade does so, of the times it is told. */
const UPGRADE_CHANCE = 0.2;
/** Keeps a connection's bytes apart from those of its peer. */
const OUTWARD = 1_000;

/** One connection's conduct. */
export class Conduct {
  /** What it does. */
  readonly kind: typeof KINDS[number];
  /** The far end. */
  readonly peer: Peer;
  /** How it ends what it writes, if it does. */
  readonly ending: "closeWrite" | "closeLingering" | "close";
  /** Bytes that it writes by itself. */
  readonly total: number;
  /** Bytes that have come. */
  received = 0;
  /** Bytes that were written. */
  written = 0;
  #isResting = false;
  /** Whether another protocol takes over now and then. */
  readonly #upgrades: boolean;
  /** Whether bytes wait for the protocol that takes over. */
  #isLeaving = false;
  /** Why it is to be told of nothing, if it is. */
  #isDeaf: "paused" | "closed" | undefined;
  readonly #world: World;
  readonly #tag: number;
  readonly #live: Map<Connection, Conduct>;

  /** @param live Where all that are open are. */
  constructor(
    world: World,
    live: Map<Connection, Conduct>,
    far: { peer: Peer; tag: number; inCrowd?: boolean },
  ) {
    this.#world = world;
    this.#live = live;
    this.peer = far.peer;
    this.#tag = far.tag;
    this.kind = world.pick<typeof KINDS[number]>(
      far.inCrowd ? CROWD_KINDS : KINDS,
    );
    this.ending = world.pick(["closeWrite", "closeLingering", "close"]);
    this.#upgrades = world.chance(0.3);
    this.total = this.kind === "source" ? world.size(WRITTEN_BYTES_MAX) : 0;
    world.log(this.peer.name, `meets a ${this.kind}`);
  }

  /** It is open. */
  open(connection: Connection): void {
    this.#live.set(connection, this);
    if (this.kind === "thrower" && this.#world.chance(0.3)) this.#throw();
    if (this.kind === "source") this.#write(connection);
  }

  /** Bytes have come. */
  data(
    connection: Connection,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): void {
    const world = this.#world;
    this.#expectTold("data");
    if (this.#upgrades && world.chance(UPGRADE_CHANCE)) {
      end = this.#upgrade(connection, bytes, start, end);
      if (end === start) return;
    }
    expectTagged(world, bytes.slice(start, end), {
      stream: this.#tag,
      start: this.received,
      who: `what ${this.peer.name} sent`,
    });
    this.received += end - start;
    if (this.kind === "echo") this.#answer(connection, bytes, start, end);
    if (this.kind === "thrower" && world.chance(0.3)) this.#throw();
    if (this.kind === "rival" && world.chance(0.5)) this.#disturb();
    if (this.kind === "meddler" && world.chance(0.7)) this.#meddle();
    if (this.kind === "closer" && world.chance(0.3)) {
      this.#breaks();
      this.#isDeaf = "closed";
      connection[world.pick(["close", "closeLingering", "abort"] as const)]();
    }
    if (this.kind === "sink" && world.chance(0.2)) this.#pause(connection);
  }

  /** The peer sends no more. */
  end(connection: Connection): void {
    this.#expectTold("the end");
    if (this.kind !== "source") connection.close();
  }

  /** The peer has read. */
  drain(connection: Connection): void {
    if (this.kind === "source") this.#write(connection);
  }

  /** Checks what has come at a peer, as far as it has. */
  expectHeard(bytes: Uint8Array<ArrayBuffer>): void {
    const isEcho = this.kind === "echo";
    const most = isEcho ? this.received : this.written;
    if (this.peer.received > most) {
      this.#world.fail(`${this.peer.name} has more than was written`);
    }
    expectTagged(this.#world, bytes, {
      stream: isEcho ? this.#tag : this.#tag + OUTWARD,
      start: this.peer.received - bytes.byteLength,
      who: this.peer.name,
    });
  }

  /** Nothing happens any more: what is still missing never comes. */
  expectDone(): void {
    const { peer, kind } = this;
    const world = this.#world;
    const mayReset = kind === "source" && this.ending !== "closeWrite";
    if (!mayReset) {
      world.expect(!peer.isWronged, () => `${peer.name} was reset for nothing`);
    }
    if (!peer.isOwed) return;
    const isRead = kind !== "source" && !(kind === "echo" && peer.isStuck);
    if (isRead) {
      world.expect(
        this.received === peer.sent && peer.isSilent,
        () => `${this.received} of ${peer.name}'s ${peer.sent} bytes were read`,
      );
    }
    if (peer.isStuck) return;
    const total = kind === "echo" ? this.received : this.total;
    world.expect(
      peer.received === total,
      () => `${peer.name} has ${peer.received} of ${total} bytes`,
    );
    if (kind !== "source") return;
    world.expect(peer.end === "end", () => `${peer.name} hears no end`);
  }

  /** Has another protocol take over, unless the connection is closing. */
  #pass(connection: Connection, left?: Uint8Array<ArrayBuffer>): void {
    try {
      connection.upgrade(inherited(this.#live), this as Conduct, left);
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  /** Takes some bytes, and leaves the rest to another protocol. */
  #upgrade(
    connection: Connection,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    const at = this.#world.whole(start, end);
    this.#world.log(this.peer.name, `leaves ${end - at} bytes to another`);
    const left = bytes.slice(at, end);
    if (this.#isLeaving || this.#world.chance(0.5)) {
      this.#pass(connection, left);
      return at;
    }
    // Later, when more may have been read for it.
    this.#isLeaving = true;
    this.#isDeaf ??= "paused";
    connection.pause();
    this.#world.inDeno(this.#world.delayMs(PAUSE_MS), () => {
      this.#isLeaving = false;
      this.#pass(connection, left);
      this.#resume(connection);
    });
    return at;
  }

  #write(connection: Connection): void {
    if (this.#isResting) return;
    while (this.written < this.total) {
      if (this.#world.chance(0.1)) return this.#rest(connection);
      if (!this.#writeOne(connection)) return;
    }
    if (this.ending !== "closeWrite") this.#isDeaf = "closed";
    connection[this.ending]();
  }

  /** Writes a piece; returns whether more can be written. */
  #writeOne(connection: Connection): boolean {
    const length = Math.min(
      this.#world.size(PIECE_BYTES_MAX),
      this.total - this.written,
    );
    const { written } = this;
    const tag = this.#tag + OUTWARD;
    const piece = taggedBytes(tag, written, written + length);
    // First: by the time that writing returns, the peer may have read it.
    this.written += length;
    if (length === 0) return true;
    if (!this.#world.chance(0.5)) return connection.write(piece);
    this.#answer(connection, piece, 0, length);
    return true;
  }

  /** Goes on later, when the reactor may be doing nothing at all. */
  #rest(connection: Connection): void {
    this.#isResting = true;
    this.#world.inDeno(this.#world.delayMs(PAUSE_MS), () => {
      this.#isResting = false;
      this.#write(connection);
    });
  }

  /** Writes into the shared buffer. */
  #answer(
    connection: Connection,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): void {
    const room = engineOf(connection).reserve(end - start);
    if (room === undefined) return void connection.write(bytes, start, end);
    room.bytes.set(bytes.subarray(start, end), room.length);
    room.length += end - start;
  }

  #disturb(): void {
    const [connection, other] = this.#world.pick([...this.#live]);
    other.#breaks();
    other.#isDeaf = "closed";
    const how = ["abort", "close", "closeLingering"] as const;
    connection[this.#world.pick(how)]();
  }

  /** Has others stop, go on or write at a time that is not their own. */
  #meddle(): void {
    const world = this.#world;
    const live = [...this.#live];
    for (let left = world.whole(1, 5); left > 0; left--) {
      const [connection, other] = world.pick(live);
      if (this.#upgrades && world.chance(0.2)) other.#pass(connection);
      if (other.kind !== "source") other.#pause(connection);
      else if (connection.bufferedBytes === 0) other.#writeOne(connection);
    }
  }

  /** Stops reading for a while, or for no time at all. */
  #pause(connection: Connection): void {
    this.#isDeaf ??= "paused";
    connection.pause();
    const resume = () => this.#resume(connection);
    if (this.#world.chance(0.2)) resume();
    else this.#world.inDeno(this.#world.delayMs(PAUSE_MS), resume);
  }

  /** Reads on, unless bytes are to be left to another protocol first. */
  #resume(connection: Connection): void {
    if (this.#isLeaving) return;
    if (this.#isDeaf === "paused") this.#isDeaf = undefined;
    connection.resume();
  }

  #expectTold(what: string): void {
    if (this.#isDeaf === undefined) return;
    this.#world.fail(
      `${this.peer.name}'s connection is ${this.#isDeaf}, and told of ${what}`,
    );
  }

  #throw(): never {
    this.#breaks();
    throw new PlannedError("The handler failed");
  }

  /** From here on the peer is not owed anything. */
  #breaks(): void {
    this.peer.excuse();
  }
}

/** Returns handlers that do what each connection's conduct is. */
export function conducted(
  live: Map<Connection, Conduct>,
  conductOf: (connection: Connection) => Conduct,
): ConnectionHandlers<Conduct> {
  return {
    ...inherited(live),
    open: (connection: Connection<Conduct>) => {
      connection.data = conductOf(connection as Connection);
      connection.data.open(connection as Connection);
    },
  };
}

/** Returns a protocol that goes on with the conduct that there is. */
function inherited(
  live: Map<Connection, Conduct>,
): ConnectionHandlers<Conduct> {
  return {
    data: (connection, bytes, start, end) =>
      connection.data.data(connection as Connection, bytes, start, end),
    end: (connection) => connection.data.end(connection as Connection),
    drain: (connection) => connection.data.drain(connection as Connection),
    error: () => {},
    close: (connection) => void live.delete(connection as Connection),
  };
}
