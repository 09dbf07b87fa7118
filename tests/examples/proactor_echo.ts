/**
 * A TCP echo on a bare `Proactor`, beside whatever else the program does: no
 * reactor, no promise a connection.
 *
 * `deno run -A tests/examples/proactor_echo.ts 7007`
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { type HostPort, TcpListener, TcpStream } from "../../src/poll.ts";
import {
  Batching,
  Completions,
  Operations,
  Proactor,
} from "../../src/proactor.ts";

/** Tokens: one for the listener; connection `n` has `2n + RECEIVE` and so on. */
const ACCEPT = 0;
const RECEIVE = 1;
const SEND = 2;

/** A running echo. */
export interface ProactorEcho {
  /** The bound address. */
  readonly addr: HostPort;
  /** Resolves when the echo has ended. */
  readonly ended: Promise<void>;
  /** Ends it. */
  stop(): void;
}

/** Echoes what clients send to an address. */
export function proactorEcho(address: HostPort): ProactorEcho {
  const proactor = new Proactor({
    buffers: 64,
    // A turn that has so much to say begins to say it.
    batching: Batching.count(64),
  });
  const listener = TcpListener.bind(address);
  const ended = new Echo(proactor, listener).run();
  return { addr: listener.localAddress, ended, stop: () => proactor.close() };
}

class Echo {
  readonly #proactor: Proactor;
  readonly #listener: TcpListener;
  readonly #operations = new Operations();
  readonly #completions = new Completions();
  readonly #streams: (TcpStream | undefined)[] = [];

  constructor(proactor: Proactor, listener: TcpListener) {
    this.#proactor = proactor;
    this.#listener = listener;
  }

  async run(): Promise<void> {
    this.#operations.acceptMultishot(ACCEPT, this.#listener);
    this.#proactor.submit(this.#operations);
    // Closing the proactor ends the loop.
    while (this.#proactor.handle !== 0) {
      await this.#proactor.park();
      if (this.#proactor.handle !== 0) this.#turn();
    }
    this.#listener.close();
    for (const stream of this.#streams) stream?.close();
  }

  #turn(): void {
    const count = this.#proactor.wait(this.#completions, 0);
    for (let index = 0; index < count; index++) {
      const token = this.#completions.token(index);
      if (token === ACCEPT) this.#accepted(index);
      else if (token % 2 === RECEIVE) this.#received(token >> 1, index);
    }
    // The bytes of the completions are copied, and may change from here on.
    this.#proactor.submit(this.#operations, this.#completions.bytes);
  }

  #accepted(index: number): void {
    if (this.#completions.result(index) < 0) return;
    const number = this.#streams.length;
    const stream = new TcpStream(this.#completions.handle(index));
    this.#streams.push(stream);
    this.#operations.receiveMultishot(2 * number + RECEIVE, stream);
  }

  #received(number: number, index: number): void {
    const stream = this.#streams[number]!;
    if (this.#completions.result(index) > 0) {
      const start = this.#completions.start(index);
      const end = this.#completions.end(index);
      this.#operations.send(2 * number + SEND, stream, start, end);
    } else {
      this.#streams[number] = undefined;
      this.#operations.close(2 * number + SEND, stream);
    }
  }
}

if (import.meta.main) {
  const port = Number(Deno.args[0] ?? 7007);
  const { addr } = proactorEcho({ hostname: "127.0.0.1", port });
  console.log(`echo on ${addr.hostname}:${addr.port}`);
}
