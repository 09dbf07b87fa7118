/**
 * Measures one model under one load, in a process of its own.
 *
 * @module
 */

import { ownLoad, runLoad } from "../bench/load.ts";
import { Failure } from "../command_line.ts";
import { stillWanted } from "../interrupt.ts";
import { type ServerProcess, startServer } from "../server_process.ts";
import type { CallCounter, Calls } from "./calls.ts";
import type { LabMachine } from "./machine.ts";
import { CannotHold, type Load, type Seen, Session } from "./load.ts";
import { commandOf, type Model } from "./models.ts";
import { HAS_PROC, type Held, ProcessMeter, type Used } from "./process.ts";
import type { Figures, Row } from "./results.ts";

/** By then compilers have seen most of a small program. */
const WARM_UP_SECONDS = 0.2;
/** The same on the connections of the load. */
const WARM_UP_AGAIN_SECONDS = 0.1;
/** Counts need less time than times do. */
const CALLS_SECONDS_MAX = 0.2;
/** How long a model is left alone, and how long its start may go on before. */
const REST_MS = 200;
const REST_AFTER_MS_MAX = 400;
/** Of fewer connections, memory shows what else has grown meanwhile. */
const CONNECTIONS_TO_WEIGH = 1_000;
const US_PER_MS = 1_000;
/** The command of a server that did not start is of no use in a table. */
const START = /^Cannot start server ".*": /;

/** How to measure. */
export interface Conditions {
  /** The cores, and the half core for servers. */
  readonly machine: LabMachine;
  /** Counts system calls, where something can. */
  readonly counter: CallCounter | undefined;
  /** How long to measure. */
  readonly seconds: number;
  /** Told of each step, in a few words. */
  readonly onStep: (step: string) => void;
}

/** Returns what was measured, or why the model cannot hold the load. */
export async function measure(
  conditions: Conditions,
  model: Model,
  load: Load,
): Promise<Row> {
  const { connections, busy } = load;
  const row = { model: model.name, connections, busy };
  const refused = (seen: string, held: number | null = null): Row => ({
    ...row,
    cannot: { seen, held, why: model.cannotHold ?? null },
  });
  const { connectionsMax } = conditions.machine;
  if (!model.isHere) {
    return refused(`denio has no such backend on ${Deno.build.os}`);
  }
  if (connections > connectionsMax) {
    return refused(`a process may have ${connectionsMax} here (ulimit -n)`);
  }
  await stillWanted();
  conditions.onStep("starting");
  const command = [...conditions.machine.onServerCore, ...commandOf(model)];
  try {
    await using server = await startServer(command, { keepsComplaint: true });
    const figures = figuresOf(conditions, server, load);
    return { ...row, ...await saying(server, figures) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    await stillWanted();
    const held = error instanceof CannotHold ? error.refusal.held : null;
    return refused(error.message.replace(START, ""), held);
  }
}

/** Adds to a failure the first line that the server has said, if any. */
async function saying<T>(server: ServerProcess, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const [said] = server.complaint.trim().split("\n", 1);
    if (error instanceof Failure && said) {
      error.message += `; the server: ${said}`;
    }
    throw error;
  }
}

async function figuresOf(
  { machine, counter, seconds, onStep }: Conditions,
  server: ServerProcess,
  load: Load,
): Promise<Pick<Row, "figures" | "callsByName">> {
  const { pid, port } = server;
  const meter = HAS_PROC ? new ProcessMeter(pid) : undefined;
  onStep("warming up");
  const size = ["--bytes", `${load.size}`];
  const warmUp = ownLoad(port, 1, ["echo", ...size], WARM_UP_SECONDS);
  await runLoad([...machine.onLoadCore, ...warmUp]);
  await meter?.cpu.rest(REST_AFTER_MS_MAX);
  const before = meter?.held();

  onStep(`opening ${load.connections.toLocaleString("en")}`);
  await using session = await Session.open(port, load, machine.onLoadCore);
  await session.measure(WARM_UP_AGAIN_SECONDS);
  onStep("resting");
  await meter?.cpu.rest(REST_AFTER_MS_MAX);
  const restShare = meter === undefined ? null : await shareAtRest(meter);
  // Only now: compilers want all of the core, and so does opening.
  machine.quota?.add(pid);

  onStep("measuring");
  const began = meter?.used();
  const seen = await session.measure(seconds);
  const ended = meter?.used();
  const held = meter?.held();

  onStep("counting calls");
  const calls = counter === undefined
    ? undefined
    : await callsOf(counter, session, { pid, threads: held?.threads ?? 1 });
  const { messages, inTime, p50Us, p99Us } = seen;
  return {
    figures: {
      ...{ messages, seconds, perSecond: inTime / seconds, p50Us, p99Us },
      ...usedBy(seen, began, ended),
      restShare,
      ...weightOf(load, before, held),
      systemCalls: calls?.all ?? null,
    },
    ...calls?.byName && { callsByName: calls.byName },
  };
}

/** What a message has cost. */
function usedBy(
  { messages }: Seen,
  began: Used | undefined,
  ended: Used | undefined,
): Pick<
  Figures,
  "cpuUs" | "userUs" | "systemUs" | "voluntary" | "involuntary"
> {
  if (began === undefined || ended === undefined) {
    const none = { cpuUs: null, userUs: null, systemUs: null };
    return { ...none, voluntary: null, involuntary: null };
  }
  const each = (name: keyof Used) => (ended[name] - began[name]) / messages;
  const cpuUs = each("cpuUs");
  const [user, system] = [each("userTicks"), each("systemTicks")];
  // Nothing was found running at a tick when the time was very short.
  const isSplit = user + system > 0;
  return {
    cpuUs,
    userUs: isSplit ? cpuUs * user / (user + system) : null,
    systemUs: isSplit ? cpuUs * system / (user + system) : null,
    voluntary: each("voluntary"),
    involuntary: each("involuntary"),
  };
}

/** What the connections weigh. */
function weightOf(
  { connections }: Load,
  before: Held | undefined,
  held: Held | undefined,
): Pick<
  Figures,
  "residentBytes" | "connectionBytes" | "virtualBytes" | "threads"
> {
  const { residentBytes = null, virtualBytes = null, threads = null } = held ??
    {};
  const grown = (residentBytes ?? NaN) - (before?.residentBytes ?? NaN);
  const isMany = connections >= CONNECTIONS_TO_WEIGH && !Number.isNaN(grown);
  const connectionBytes = isMany ? Math.max(grown, 0) / connections : null;
  return { residentBytes, connectionBytes, virtualBytes, threads };
}

/** Returns the share of a core that a process uses while no message comes. */
async function shareAtRest({ cpu }: ProcessMeter): Promise<number> {
  const before = cpu.look();
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  const after = cpu.look();
  return (after.us - before.us) / (after.atMs - before.atMs) / US_PER_MS;
}

/** A pass of its own: counting disturbs timing. Returns calls of a message. */
async function callsOf(
  counter: CallCounter,
  session: Session,
  { pid, threads }: { pid: number; threads: number },
): Promise<Calls> {
  let messages = 0;
  const { all, byName } = await counter.count(pid, threads, async () => {
    ({ messages } = await session.measure(CALLS_SECONDS_MAX));
  });
  const each = Object.entries(byName ?? {})
    .map(([name, count]) => [name, count / messages]);
  return {
    all: all / messages,
    ...byName && { byName: Object.fromEntries(each) },
  };
}
