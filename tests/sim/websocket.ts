/**
 * Scenario: WebSockets: clients that split their frames, stall, break the
 * protocol and leave, and programs of all kinds. Each message comes once, in
 * order and to the right one, and each WebSocket closes once, with the right
 * code.
 *
 * @module
 */

import {
  limitsOf,
  type WebSocketLimitOptions,
  type WebSocketLimits,
} from "../../src/websocket/limits.ts";
import type { WebSocketHandlers } from "../../src/websocket/handlers.ts";
import type { WebSocketRoute } from "../../src/websocket/route.ts";
import { servePeers } from "./serving.ts";
import type { Simulation } from "./simulation.ts";
import { OFFERS } from "./websocket_deflate.ts";
import { Client } from "./websocket_client.ts";
import { Conduct, MANNERS, PUSHED_BYTES } from "./websocket_conduct.ts";
import type { Model } from "./websocket_model.ts";
import type { World } from "./world.ts";

/** Options of a server without time limits of HTTP. */
const UNTIMED = {
  headMs: Infinity,
  keepAliveMs: Infinity,
  bodyBytesPerSecondMin: 0,
};
const PORT = 80;
const COMPRESSIONS = [
  false,
  false,
  { thresholdBytes: 0 },
  { serverContextTakeover: true, clientContextTakeover: true },
];
/** The longest time of a promise of `upgrade`. */
const UPGRADE_MS = 10;
/** The latest time of what the program does outside of handlers. */
const EARLY_MS = 100;

/** Runs the scenario in one world. */
export async function webSocketScenario(simulation: Simulation): Promise<void> {
  const { world, reactor, library, audit } = simulation;
  const limits = limitsIn(world);
  const hearsPings = world.chance(0.5);
  const compression = world.pick(COMPRESSIONS);
  audit.bufferedBytesMax = 2 * limits.backpressureBytesMax + 1_000_000;
  audit.expectsReport = isExpected;
  const live = new Set<Conduct>();
  const company = {
    world,
    limits,
    live,
    hearsPings,
    isClosed: () => reactor.isClosed,
  };
  // Many get what is published by one broadcast.
  const count = world.chance(0.05) ? world.whole(9, 16) : world.whole(1, 6);
  const conducts = Array.from({ length: count }, (_, index) => {
    const hasIdleTime = limits.webSocketIdleMs !== Infinity;
    const manner = world.pick(MANNERS);
    const receives = manner.endsWith("pusher") ? PUSHED_BYTES : undefined;
    const isOffered = compression !== false && world.chance(0.7);
    const offer = isOffered ? world.pick(OFFERS) : undefined;
    const known = { ...limits, hasIdleTime, receives, offer };
    return new Conduct(company, new Client(world, index, known), manner);
  });
  const route = library.webSocket<Conduct>({
    ...limits,
    compression,
    binary: world.pick(["own", "lent"]),
    ...handlersOf(world, conducts, hearsPings),
  });
  const writeMs = world.pick([Infinity, Infinity, 30_000]);
  const options = { ...UNTIMED, writeMs, port: PORT, reactor, onListen() {} };
  const server = library.serve({ ...options, websocket: route });
  if (world.chance(0.3)) disturbSometimes(world, live);
  const ended = {
    finished: server.finished,
    shutdown: () => {
      for (const { model } of conducts) model.ends("1001 ");
      return server.shutdown();
    },
  };
  const peers = conducts.map(({ model }) => model.client.peer);
  const serving = { server: ended, peers, port: PORT };
  await servePeers(simulation, serving, (ending) => {
    if (ending !== "patient") return;
    for (const conduct of conducts) expectDone(world, conduct);
  });
  expectOver(simulation, route, conducts);
  expectDropped(world, route, conducts);
  await simulation.finish();
}

function limitsIn(world: World): WebSocketLimits {
  const options: WebSocketLimitOptions = {
    messageBytesMax: world.pick([250_000, 16_777_216]),
    fragmentsMax: world.pick([30, 16_384]),
    backpressureBytesMax: world.pick([65_536, 200_000, 1_048_576]),
    webSocketIdleMs: world.pick([Infinity, Infinity, Infinity, 300]),
    closeMs: world.pick([100, 5_000, 5_000]),
  };
  return limitsOf(options, {});
}

function handlersOf(
  world: World,
  conducts: readonly Conduct[],
  hearsPings: boolean,
): WebSocketHandlers<Conduct> {
  return {
    upgrade: (request) => {
      const { pathname } = new URL(request.url);
      const data = conducts[Number(pathname.slice(1))]!;
      if (world.chance(0.5)) return { data };
      return world.sleep(world.delayMs(UPGRADE_MS)).then(() => ({ data }));
    },
    open: (socket) => socket.data.open(socket),
    // Lent bytes are valid only until the handler returns.
    message: ({ data }, message) =>
      data.message(typeof message === "string" ? message : message.slice()),
    ...hearsPings && {
      ping: ({ data }, bytes) => data.control("ping", bytes),
      pong: ({ data }, bytes) => data.control("pong", bytes),
    },
    drain: ({ data }) => data.drain(),
    error: ({ data }, error) => data.error(error),
    close: ({ data }, code, reason, wasClean) =>
      data.close(code, reason, wasClean),
  };
}

/** Acts on WebSockets while no handler runs. */
function disturbSometimes(world: World, live: ReadonlySet<Conduct>): void {
  for (let left = world.size(10); left > 0; left--) {
    world.inDeno(world.delayMs(EARLY_MS), () => {
      if (live.size > 0) world.pick([...live]).disturb();
    });
  }
}

/** What a stream of messages may fail with, when its WebSocket closes. */
function isExpected(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource &&
    error.message.startsWith("Cannot send");
}

/** Checks the end: nothing happens any more, so what is missing never comes. */
function expectDone(world: World, { model, manner }: Conduct): void {
  const { client, maybeSocket, isEndedByUs, hasClosed } = model;
  const { peer, script, sent, heard } = client;
  const isAll = sent.every(({ isLossy }, index) => index < heard || isLossy);
  if (peer.stream === undefined || !peer.isOwed) {
    const isFair = script.closing !== undefined || isEndedByUs;
    model.expect(isFair || !peer.isWronged, () => "was reset for nothing");
    // Also when the program waits for `drain` before it reads on.
    const isLeft = maybeSocket !== undefined && !hasClosed && peer.isGone;
    return model.expect(!isLeft, () => "is not closed, and the client is gone");
  }
  if (peer.isStuck || peer.sent < script.headBytes) return;
  model.expect(maybeSocket !== undefined, () => "is not open");
  const isOwed = model.owesDrain && !hasClosed;
  model.expect(!isOwed, () => "has not drained");
  model.expect(
    isAll || manner === "streams",
    () => `has sent ${sent.length} frames, and ${heard} have come`,
  );
  if (!isEndedByUs) expectHeard(world, model);
}

/** Checks a WebSocket that its client alone has ended, if at all. */
function expectHeard(world: World, model: Model): void {
  const { client, hasClosed, received } = model;
  const { peer, script, closing } = client;
  const isOver = client.hasClosed || peer.hasEnded;
  model.expect(
    hasClosed ? isOver || client.mayHaveClosed : !isOver,
    () => `says that closed is ${hasClosed}`,
  );
  const count =
    script.deliveries.filter(({ kind, end }) =>
      (kind === "text" || kind === "binary") && end <= peer.sent
    ).length;
  model.expect(
    received === count,
    () => `has ${received} of ${count} messages`,
  );
  world.expect(peer.isSilent, () => `${peer.name} was not read from`);
  if (client.hasClosed && closing?.code !== script.closing?.code) {
    world.fail(`${peer.name} hears no close frame`);
  }
}

/** Checks that no message of a topic was lost for nothing. */
function expectDropped(
  world: World,
  route: WebSocketRoute<Conduct>,
  conducts: readonly Conduct[],
): void {
  const { topics } = route.stats();
  const dropped = conducts.reduce(
    (sum, { model }) => sum + model.client.dropped,
    0,
  );
  world.expect(
    dropped <= topics.dropped,
    () => `${dropped} messages are lost, and ${topics.dropped} dropped`,
  );
}

/** Checks that nothing is left. */
function expectOver(
  { world, reactor }: Simulation,
  route: WebSocketRoute<Conduct>,
  conducts: readonly Conduct[],
): void {
  const counts = route.stats();
  const models = conducts.map(({ model }) => model);
  const opened = models.filter(({ maybeSocket }) => maybeSocket !== undefined);
  for (const model of opened) {
    model.expect(model.hasClosed, () => "was not closed");
    model.expect(!model.isLooping, () => "has a loop that has not ended");
  }
  const received = models.reduce((sum, one) => sum + one.received, 0);
  world.expect(
    counts.open === 0 && counts.opened === opened.length &&
      counts.received >= received,
    () => `the counts are ${JSON.stringify(counts)}`,
  );
  try {
    reactor.endWork();
  } catch (error) {
    if (error instanceof RangeError) return;
  }
  world.fail("work is counted that has ended");
}
