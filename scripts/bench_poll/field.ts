/**
 * The times of calls on N sources of one poll, one of which can be made ready.
 *
 * @module
 */

import {
  type Backend,
  Events,
  Interest,
  Poll,
  UdpSocket,
  UnixStream,
} from "../../src/poll.ts";
import { Failure } from "../command_line.ts";

/** The calls that are timed, in microseconds a call. */
export const FIGURE_TITLES = {
  poll: "A wait, one source of N ready",
  register: "Registering a source",
  reregister: "Reregistering a source",
  deregister: "Deregistering a source",
  transfer: "Writing a byte and reading it",
} as const;

/** Microseconds a call. */
export type Figures = Readonly<Record<keyof typeof FIGURE_TITLES, number>>;

/** Calls that are timed together. */
export const BATCH = 200;

const US_PER_MS = 1000;
const { READABLE } = Interest;
/** The token of the ready source; it is the only one that is waited for. */
const TOKEN = 0;
/** A wait that takes this long is an error. */
const LOST_MS = 5000;

/**
 * Opens `size` sources on a poll and times each kind of call on them; returns
 * `undefined` when the backend cannot have so many.
 *
 * @throws {Failure} when the system has not got so many descriptors.
 */
export function measureField(
  backend: Backend,
  size: number,
): Figures | undefined {
  using stack = new DisposableStack();
  try {
    const poll = stack.use(new Poll({ backend }));
    const [reader, writer] = UnixStream.pair().map((end) => stack.use(end));
    const idle = Array.from(
      { length: size - 1 },
      () => stack.use(UdpSocket.bind({ hostname: "127.0.0.1", port: 0 })),
    );
    // The ready one in their middle: neither end of a list is favoured.
    const sources = idle.toSpliced(size >> 1, 0, reader as never);
    return figuresOf(poll, sources, [reader!, writer!]);
  } catch (error) {
    const { code } = error as { code?: string };
    // select refuses a descriptor when it is registered.
    if (code === "ERANGE") return undefined;
    if (code !== "EMFILE" && code !== "ENFILE") throw error;
    throw new Failure(
      `Cannot open ${size} sources: raise "ulimit -n", or lower --max`,
      { cause: error },
    );
  }
}

/** Times the calls on sources, none of which is registered. */
function figuresOf(
  poll: Poll,
  sources: readonly (UnixStream | UdpSocket)[],
  [reader, writer]: readonly [UnixStream, UnixStream],
): Figures {
  const { registry } = poll;
  const events = new Events(16);
  const byte = new Uint8Array(1);
  // Larger than a message: a short read has read everything.
  const buffer = new Uint8Array(64);
  const registerAll = () =>
    timed(sources.length, (place) => {
      const source = sources[place]!;
      const token = source === reader ? TOKEN : 1 + place;
      registry.register(source, token, READABLE);
    });
  const deregisterAll = () =>
    timed(sources.length, (place) => registry.deregister(sources[place]!));
  // The first time does not count: tables grow.
  registerAll();
  deregisterAll();
  const register = registerAll();
  const reregister = timed(BATCH, () => {
    registry.reregister(reader, TOKEN, READABLE);
  });
  const transfer = timed(BATCH, () => {
    writer.write(byte);
    reader.read(buffer);
  });
  const both = timed(BATCH, () => {
    writer.write(byte);
    const count = poll.poll(events, LOST_MS);
    if (count !== 1 || events.token(0) !== TOKEN) {
      throw new Failure(`Cannot measure: ${count} events where one was due`);
    }
    reader.read(buffer);
  });
  const deregister = deregisterAll();
  const wait = Math.max(0, both - transfer);
  return { register, reregister, deregister, poll: wait, transfer };
}

/** Returns the microseconds of each of `count` calls. */
function timed(count: number, call: (place: number) => void): number {
  const startMs = performance.now();
  for (let place = 0; place < count; place++) call(place);
  return (performance.now() - startMs) * US_PER_MS / count;
}
