/**
 * The conduct of a program on one connection: it reads, writes, pauses, closes
 * in some way, fails, and disturbs other connections.
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
/** The probability to disturb others in the worlds with most disturbance. */
const CROWD_KINDS = [
  "meddler",
  "meddler",
  "meddler",
  "echo",
  "sink",
  "source",
] as const;
const WRITTEN_BYTES_MAX = 300_000;
/** The largest write. */
export const PIECE_BYTES_MAX = 20_000;
const PAUSE_MS = 20;
/** How often a connection that upgrades does so, per call of `data`. */
const UPGRADE_CHANCE = 0.2;
/** Makes a connection's bytes differ from those of its peer. */
const OUTWARD = 1_000;

/** The conduct on one connection. */
export class Conduct {
  /** What the program does. */
  readonly kind: typeof KINDS[number];
  /** The far end. */
  readonly peer: Peer;
  /** How the program ends its writing, if it does. */
  readonly ending: "closeWrite" | "closeLingering" | "close";
  /** How many bytes the program writes by itself. */
  readonly total: number;
  /** How many bytes have come. */
  received = 0;
  /** How many bytes were written. */
  written = 0;
  #isResting = false;
  /** Whether another protocol takes over now and then. */
  readonly #upgrades: boolean;
  /** Whether bytes wait for the protocol that takes over. */
  #isLeaving = false;
  /** Why no handler may be called any more, if so. */
  #isDeaf: "paused" | "closed" | undefined;
  readonly #world: World;
  readonly #tag: number;
  readonly #live: Map<Connection, Conduct>;

  /** @param live All open connections. */
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

  /** The connection is open. */
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
    world.compute();
    if (this.#upgrades && world.chance(UPGRADE_CHANCE)) {
      end = this.#upgrade(connection, bytes, start, end);
      if (end === start) return;
    }
    expectTagged(world, bytes.slice(start, end), {
      stream: this.#tag,
      start: this.received,
      name: `what ${this.peer.name} sent`,
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

  /** The peer has ended. */
  end(connection: Connection): void {
    this.#expectTold("the end");
    if (this.kind !== "source") connection.close();
  }

  /** The peer has read. */
  drain(connection: Connection): void {
    if (this.kind === "source") this.#write(connection);
  }

  /** Checks the bytes that a peer has got so far. */
  expectHeard(bytes: Uint8Array<ArrayBuffer>): void {
    const isEcho = this.kind === "echo";
    const most = isEcho ? this.received : this.written;
    if (this.peer.received > most) {
      this.#world.fail(`${this.peer.name} has more than was written`);
    }
    expectTagged(this.#world, bytes, {
      stream: isEcho ? this.#tag : this.#tag + OUTWARD,
      start: this.peer.received - bytes.byteLength,
      name: this.peer.name,
    });
  }

  /** Checks the end: nothing happens any more, so missing bytes never come. */
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
    world.expect(peer.end === "end", () => `${peer.name} gets no end`);
  }

  /** Lets another protocol take over, unless the connection is closing. */
  #pass(connection: Connection, left?: Uint8Array<ArrayBuffer>): void {
    try {
      connection.upgrade(inherited(this.#live), this as Conduct, left);
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  /** Uses some bytes, and leaves the rest to another protocol. */
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
    // Later, when more may have been read for this connection.
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
    // First: when `write` returns, the peer may have read the bytes already.
    this.written += length;
    if (length === 0) return true;
    if (!this.#world.chance(0.5)) return connection.write(piece);
    this.#answer(connection, piece, 0, length);
    return true;
  }

  /** Goes on later, when the reactor may be idle. */
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

  /** Lets other connections pause, resume or write at any moment. */
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

  /** Stops reading for a while, or for no time. */
  #pause(connection: Connection): void {
    this.#isDeaf ??= "paused";
    connection.pause();
    const resume = () => this.#resume(connection);
    if (this.#world.chance(0.2)) resume();
    else this.#world.inDeno(this.#world.delayMs(PAUSE_MS), resume);
  }

  /** Reads on, unless bytes are left over for another protocol. */
  #resume(connection: Connection): void {
    if (this.#isLeaving) return;
    if (this.#isDeaf === "paused") this.#isDeaf = undefined;
    connection.resume();
  }

  #expectTold(what: string): void {
    if (this.#isDeaf === undefined) return;
    this.#world.fail(
      `${this.peer.name}'s connection is ${this.#isDeaf}, and gets ${what}`,
    );
  }

  #throw(): never {
    this.#breaks();
    throw new PlannedError("The handler failed");
  }

  /** Notes that the peer is owed nothing from now on. */
  #breaks(): void {
    this.peer.excuse();
  }
}

/** Returns handlers that act by the conduct of each connection. */
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

/** Returns a protocol that goes on with a connection's conduct. */
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
