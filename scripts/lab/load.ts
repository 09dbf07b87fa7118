/**
 * The load: one program holds all connections of a model, and measures on them
 * as often as it is asked to. So nothing opens or closes while something is
 * measured, and every figure is a difference between two moments at rest.
 *
 * @module
 */

import { ownLoad } from "../bench/load.ts";
import { Failure } from "../command_line.ts";
import { Dialog } from "./dialog.ts";
import type { Refusal } from "./results.ts";

/** A model that answers nobody for so long does not hold the load. */
const PATIENCE_MS = 2_000;
/** What the generator says when a connection cannot be opened. */
const NOT_OPENED =
  /^error: Cannot load port \d+: (?<seen>.*); (?<held>\d+) connections were open$/m;

/** The load that a model is put under. */
export interface Load {
  /** All connections. */
  readonly connections: number;
  /** How many of them send messages. */
  readonly busy: number;
  /** Bytes of a message. */
  readonly size: number;
}

/** What the generator has seen in one measurement. */
export interface Seen {
  /** Messages that came back within the time, and those that did after it. */
  readonly messages: number;
  /** Messages that came back within the time. */
  readonly inTime: number;
  /** The time. */
  readonly seconds: number;
  /** Half of the messages took so long. */
  readonly p50Us: number;
  /** 99 of 100 messages took so long. */
  readonly p99Us: number;
}

/** A model does not hold a load. */
export class CannotHold extends Failure {
  /** What errors of this class print. */
  override name = "CannotHold";
  /** What was seen, and how many connections were answered before. */
  readonly refusal: Omit<Refusal, "why">;

  /** Says what was seen. */
  constructor(refusal: Omit<Refusal, "why">) {
    super(refusal.seen);
    this.refusal = refusal;
  }
}

/** Connections to a server, each with a verified message. */
export class Session implements AsyncDisposable {
  readonly #dialog: Dialog;

  private constructor(dialog: Dialog) {
    this.#dialog = dialog;
  }

  /**
   * Opens the connections.
   *
   * @param prefix Words before the generator's command: its core.
   * @throws {CannotHold} when the server does not answer on each.
   */
  static async open(
    port: number,
    { connections, busy, size }: Load,
    prefix: readonly string[] = [],
  ): Promise<Session> {
    const command = ownLoad(port, busy, [
      ...["echo", "--session", "--idle", `${connections - busy}`],
      ...["--bytes", `${size}`, "--patience-ms", `${PATIENCE_MS}`],
    ]);
    const dialog = await Dialog.start([...prefix, ...command]);
    try {
      await dialog.ask();
      return new Session(dialog);
    } catch (error) {
      await dialog[Symbol.asyncDispose]();
      if (!(error instanceof Failure)) throw error;
      throw refusalOf(error.message, connections);
    }
  }

  /**
   * Has the busy connections send for a time. Returns when all of their
   * messages are back.
   *
   * @throws {CannotHold} when one is not, or is wrong.
   */
  async measure(seconds: number): Promise<Seen> {
    const said = JSON.parse(await this.#dialog.ask(`${seconds}`));
    const { requests, late, failures, firstFailure, p50Us, p99Us } = said;
    if (failures > 0) {
      const seen = `${failures} failures, the first: ${firstFailure}`;
      throw new CannotHold({ seen, held: null });
    }
    const messages = requests + late;
    if (requests > 0) {
      return { messages, inTime: requests, seconds, p50Us, p99Us };
    }
    throw new CannotHold({
      seen: `no message came back within ${seconds} s`,
      held: null,
    });
  }

  /** Closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dialog.end();
    await this.#dialog[Symbol.asyncDispose]();
  }
}

function refusalOf(message: string, connections: number): CannotHold {
  const { seen, held } = NOT_OPENED.exec(message)?.groups ?? {};
  if (seen === undefined) return new CannotHold({ seen: message, held: null });
  const count = Number(held);
  return new CannotHold({
    seen: `${count} of ${connections} clients were answered; others: ${seen}`,
    held: count,
  });
}
