/**
 * Scenario: the reactor's own interface: accepted and made connections, each
 * with its own conduct, and timers.
 *
 * @module
 */

import { READ_BUFFER_BYTES } from "../../src/bytes/read_buffer.ts";
import type { Connection } from "../../src/reactor/connection.ts";
import { HIGH_WATER_BYTES } from "../../src/reactor/connection_options.ts";
import { engineOf } from "../util/engine.ts";
import { taggedBytes } from "./bytes.ts";
import { Conduct, conducted, PIECE_BYTES_MAX } from "./conduct.ts";
import { PlannedError } from "./http_handler.ts";
import { Peer, planOf } from "./peer.ts";
import type { Simulation } from "./simulation.ts";

const PORT = 7_000;
const REMOTE = { hostname: "192.0.2.9", port: 7_001 };
const STREAM_BYTES_MAX = 400_000;
const EARLY_MS = 60;
const TIMER_MS = 500;
const TIMERS_MAX = 20;
/**
 * How late a timer may run. A turn reads up to 256 KiB from a connection before
 * it runs timers. With a kernel buffer of 1,000 bytes this takes 262 calls,
 * each of up to half a millisecond.
 */
const TIMER_LATE_MS = 150;

/** Runs the scenario in one world. */
export async function reactorScenario(simulation: Simulation): Promise<void> {
  const { world, reactor, audit } = simulation;
  audit.bufferedBytesMax = HIGH_WATER_BYTES + 2 * READ_BUFFER_BYTES +
    PIECE_BYTES_MAX;
  audit.expectsReport = (error) => error instanceof PlannedError;
  const live = new Map<Connection, Conduct>();
  const conducts = new Set<Conduct>();
  const listener = serveConducts(simulation, live, conducts);
  connectConducts(simulation, live, conducts);
  const timers = setTimers(simulation);
  const isPatient = world.chance(0.7);
  if (!isPatient) world.inDeno(world.delayMs(EARLY_MS), () => reactor.close());
  await simulation.settle();
  if (isPatient) {
    for (const conduct of conducts) conduct.expectDone();
    world.expect(timers.left === 0, () => `${timers.left} timers never ran`);
  }
  listener.close();
  await simulation.settle();
  for (const { peer } of conducts) peer.reset();
  await simulation.settle();
  // A connection that has stopped reading does not notice the end.
  for (const connection of live.keys()) connection.abort();
  await simulation.settle();
  await simulation.finish();
}

function serveConducts(
  { world, reactor, system }: Simulation,
  live: Map<Connection, Conduct>,
  conducts: Set<Conduct>,
): Disposable & { close(): void } {
  const peers = new Map<Peer, number>();
  const inCrowd = world.chance(0.2);
  const listener = reactor.listen(
    { hostname: "192.0.2.1", port: PORT },
    conducted(live, (connection) => {
      const { handle } = engineOf(connection);
      const [peer, tag] = [...peers].find(([{ stream }]) =>
        stream?.handle === handle
      )!;
      return newConduct(world, live, conducts, { peer, tag, inCrowd });
    }),
  );
  const count = inCrowd ? world.whole(20, 60) : world.whole(0, 6);
  for (let tag = 0; tag < count; tag++) {
    const peer = newPeer(world, conducts, {
      tag,
      bytesMax: count > 6 ? 2_000 : STREAM_BYTES_MAX,
    });
    peers.set(peer, tag);
    peer.start(system, PORT);
  }
  return listener;
}

function connectConducts(
  { world, reactor, system }: Simulation,
  live: Map<Connection, Conduct>,
  conducts: Set<Conduct>,
): void {
  for (let left = world.whole(0, 3); left > 0; left--) {
    const tag = 500 + left;
    const peer = newPeer(world, conducts, { tag, bytesMax: STREAM_BYTES_MAX });
    world.inDeno(world.delayMs(EARLY_MS), () => {
      const answers = world.chance(0.8);
      system.answer = answers
        ? (stream) => {
          peer.stream = stream;
          peer.connected = () => void peer.attach(stream);
          return peer;
        }
        : undefined;
      try {
        const handlers = conducted(
          live,
          () => newConduct(world, live, conducts, { peer, tag }),
        );
        reactor.connect(REMOTE, {
          ...handlers,
          open: (connection) => {
            if (!answers) world.fail("a refused connection is open");
            handlers.open!(connection);
          },
        });
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
        const isFull = error instanceof Error && "code" in error &&
          error.code === "ENOSPC";
        if (!isFull) throw error;
      }
    });
  }
}

function newPeer(
  world: Simulation["world"],
  conducts: Set<Conduct>,
  { tag, bytesMax }: { tag: number; bytesMax: number },
): Peer {
  const bytes = taggedBytes(tag, 0, world.sizeOrMost(bytesMax) - 1);
  const peer: Peer = new Peer(world, {
    name: `peer ${tag}`,
    plan: planOf(world, bytes, bytesMax),
    ears: {
      heard: (heard) => {
        const conduct = [...conducts].find((one) => one.peer === peer);
        if (conduct === undefined) {
          world.fail(`${peer.name} gets bytes, and no peer sent any`);
        }
        conduct.expectHeard(heard);
      },
    },
  });
  return peer;
}

function newConduct(
  world: Simulation["world"],
  live: Map<Connection, Conduct>,
  conducts: Set<Conduct>,
  far: { peer: Peer; tag: number; inCrowd?: boolean },
): Conduct {
  const conduct = new Conduct(world, live, far);
  conducts.add(conduct);
  return conduct;
}

/** Sets timers: some are cleared, and some set others. */
function setTimers(simulation: Simulation): { left: number } {
  const { world, reactor } = simulation;
  const state = { left: 0 };
  const set = (depth: number) => {
    const delayMs = world.delayMs(TIMER_MS);
    const dueMs = world.nowMs + delayMs;
    let isOver = false;
    state.left++;
    const timer = reactor.setTimer(delayMs, () => {
      const lateMs = world.nowMs - dueMs;
      world.log("timer", `runs, ${lateMs} ms late`);
      if (isOver) world.fail("a timer runs twice, or though it was cleared");
      // The clock has whole nanoseconds, the deadline is a fraction.
      if (lateMs < -1e-3) world.fail(`a timer runs ${-lateMs} ms early`);
      if (lateMs > TIMER_LATE_MS) world.fail(`a timer is ${lateMs} ms late`);
      isOver = true;
      state.left--;
      if (depth < 2 && world.chance(0.3)) set(depth + 1);
      if (world.chance(0.05)) throw new PlannedError("The timer failed");
    });
    if (!world.chance(0.2)) return;
    world.inDeno(world.delayMs(TIMER_MS), () => {
      if (isOver) return;
      reactor.clearTimer(timer);
      isOver = true;
      state.left--;
    });
  };
  for (let left = world.whole(0, TIMERS_MAX); left > 0; left--) set(0);
  return state;
}
