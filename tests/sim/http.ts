/**
 * Scenario: the HTTP server, clients that pipeline, stall and leave, and
 * handlers of all kinds. Answers are whole, right and in order.
 *
 * @module
 */

import { type Answer, AnswerReader } from "../util/http_answers.ts";
import { concat, latin1 } from "../util/http_bytes.ts";
import { sameBytes } from "../util/random.ts";
import { PlannedError, SimulatedHandler } from "./http_handler.ts";
import { Peer, planOf } from "./peer.ts";
import {
  encodeExchange,
  type Exchange,
  exchangesOf,
  type Expected,
  expectedOf,
  FAILURE_TEXT,
} from "./requests.ts";
import { servePeers } from "./serving.ts";
import type { Simulation } from "./simulation.ts";

/** Options of a server without time limits. */
const UNTIMED = {
  headMs: Infinity,
  keepAliveMs: Infinity,
  writeMs: Infinity,
  bodyBytesPerSecondMin: 0,
};
/** A client that sends nothing for a while is not refused. */
const PATIENT = { headMs: Infinity, bodyBytesPerSecondMin: 0 };
const PORT = 80;
/** The approximate size of an answer's head. */
const HEAD_BYTES = 120;
/** The largest answer: it may begin just below the high-water mark. */
const BUFFERED_BYTES_MAX = 1_000_000;

/** What a client sends after its requests. */
type Tail = "none" | "garbage" | "part of a head";

interface Client {
  readonly peer: Peer;
  readonly exchanges: Exchange[];
  readonly tail: Tail;
  readonly heard: Uint8Array<ArrayBuffer>[];
}

/** Runs the scenario in one world. */
export async function httpScenario(simulation: Simulation): Promise<void> {
  const { world, reactor, library } = simulation;
  simulation.audit.bufferedBytesMax = BUFFERED_BYTES_MAX;
  const clients = httpClients(simulation);
  const all = clients.flatMap(({ exchanges }) => exchanges);
  const byPath = new Map(all.map((one) => [`/${one.tag}`, one]));
  const handler = new SimulatedHandler(world, byPath);
  const server = library.serve({
    port: PORT,
    reactor,
    // Sweeps make turns, which would hide a wake that is missing.
    ...world.pick([UNTIMED, UNTIMED, UNTIMED, PATIENT]),
    onListen() {},
    onError: () => new Response(FAILURE_TEXT, { status: 500 }),
  }, handler.handle);
  const peers = clients.map(({ peer }) => peer);
  await servePeers(simulation, { server, peers, port: PORT }, (ending) => {
    for (const client of clients) {
      const answers = expectAnswers(simulation, client);
      if (ending === "patient") expectAll(simulation, client, answers);
      if (ending === "shutdown") expectHandled(simulation, client, answers);
    }
  });
  world.expect(
    handler.pending === 0,
    () => `${handler.pending} handlers have not settled`,
  );
  world.expect(
    handler.streams === 0,
    () =>
      `${handler.streams} streams were neither read to the end nor cancelled`,
  );
  await simulation.finish();
}

/** Whether a handler threw `error` on purpose, or has caused it so. */
export function isPlanned(error: unknown): boolean {
  return error instanceof PlannedError ||
    error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.UnexpectedEof;
}

function httpClients({ world }: Simulation): Client[] {
  return Array.from({ length: world.size(8) }, (_, index): Client => {
    const exchanges = exchangesOf(world, index);
    const tail = world.pick<Tail>([
      "none",
      "none",
      "garbage",
      "part of a head",
    ]);
    const bytes = concat([
      ...exchanges.map((exchange) => encodeExchange(world, exchange)),
      latin1(tail === "garbage" ? "\x01\x02 ???\r\n\r\n" : ""),
      latin1(tail === "part of a head" ? "GET /never HTTP/1.1\r\nHos" : ""),
    ]);
    const receives = exchanges.reduce(
      (sum, exchange) => sum + expectedOf(exchange).body.byteLength,
      HEAD_BYTES * exchanges.length,
    );
    const heard: Uint8Array<ArrayBuffer>[] = [];
    const peer = new Peer(world, {
      name: `client ${index}`,
      plan: planOf(world, bytes, receives),
      ears: { heard: (bytes) => void heard.push(bytes) },
    });
    return { peer, exchanges, tail, heard };
  });
}

/** Checks all whole answers that a client has, and returns them. */
function expectAnswers(
  { world }: Simulation,
  { peer, exchanges, tail, heard }: Client,
): Answer[] {
  const reader = new AnswerReader();
  reader.push(concat(heard));
  const answers: Answer[] = [];
  for (const exchange of exchanges) {
    const answer = reader.take(exchange.method);
    if (answer === undefined) return answers;
    const { status, body } = wholeOf(exchange);
    const isRight = answer.status === status && sameBytes(answer.body, body);
    world.expect(
      isRight && exchange.calls === 1,
      () =>
        `${peer.name}: the answer to /${exchange.tag} (${exchange.manner}) ` +
        `is ${answer.status} with ${answer.body.byteLength} bytes, ` +
        `not ${status} with ${body.byteLength}`,
    );
    answers.push(answer);
    if (exchange.isLast) return answers;
  }
  if (reader.rest === "") return answers;
  const refusal = reader.take("GET");
  world.expect(
    tail === "garbage" && (refusal === undefined || refusal.status === 400),
    () => `${peer.name} has ${refusal?.status ?? reader.rest} for nothing`,
  );
  return refusal === undefined ? answers : [...answers, refusal];
}

/** Returns the whole answer; for a broken stream, the answer of `onError`. */
function wholeOf(exchange: Exchange): Expected {
  const breaks = exchange.manner === "break" && exchange.method !== "HEAD";
  return expectedOf(breaks ? { ...exchange, manner: "throw" } : exchange);
}

/** Checks that a client that has waited for all of its answers has them. */
function expectAll(
  { world }: Simulation,
  { peer, exchanges, tail }: Client,
  answers: Answer[],
): void {
  if (peer.stream === undefined || !peer.isOwed || peer.isStuck) return;
  const { name, sent, plan } = peer;
  const last = exchanges.at(-1)!;
  if (last.manner === "break") return;
  const isWhole = sent === plan.bytes.byteLength;
  const closes = last.isLast || tail === "garbage";
  // The server need not read bytes after the last request.
  const isMuted = plan.mutesAt < plan.bytes.byteLength;
  if (isMuted) return;
  world.expect(
    isWhole || closes,
    () => `${name}: only ${sent} bytes were read`,
  );
  const refusals = tail === "garbage" && !last.isLast ? 1 : 0;
  const expected = exchanges.length + refusals;
  world.expect(
    answers.length === expected,
    () => `${name} has ${answers.length} of ${expected} answers`,
  );
  const isEnd = closes || plan.end === "half";
  world.expect(
    !isEnd || peer.end === "end",
    () => `${name} heard ${peer.end} and no end`,
  );
}

/** Checks that requests that began before a shutdown were answered. */
function expectHandled(
  { world }: Simulation,
  { peer, exchanges }: Client,
  answers: Answer[],
): void {
  if (peer.stream === undefined || !peer.isOwed || peer.isStuck) return;
  const { name, plan } = peer;
  const isMuted = plan.mutesAt < plan.bytes.byteLength;
  if (isMuted || exchanges.at(-1)!.manner === "break") return;
  const begun = exchanges.filter(({ calls }) => calls > 0).length;
  world.expect(
    answers.length >= begun,
    () => `${name} has ${answers.length} answers; ${begun} were begun`,
  );
}
