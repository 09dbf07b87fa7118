/**
 * Completions, by io_uring: the program does not ask what is ready and then
 * read. It says what it wants read, and waits until that is done. One system
 * call hands over all that is wanted, another waits; there is no third.
 *
 * @module
 */

import { TcpListener, TcpStream } from "../../../src/poll.ts";
import { Completions, Operations, Proactor } from "../../../src/proactor.ts";
import { announce } from "../../bench/servers/announce.ts";

const BATCH = 256;
const BYTES = 4_096; // A receive that waits owns so many bytes.
const LISTENER = 0;
const port = Number(Deno.args[1] ?? 0); // --port N
const listener = TcpListener.bind({ hostname: "127.0.0.1", port });
const proactor = new Proactor({ operations: 32_000 });
const completions = new Completions(BATCH, BATCH * BYTES);
const operations = new Operations(BATCH);
const streams = new Map<number, TcpStream>();
let lastToken = LISTENER;
operations.acceptMultishot(LISTENER, listener);
announce(listener.localAddress);
for (;;) {
  proactor.submit(operations, completions.bytes);
  proactor.wait(completions); // Submits, and sleeps: both by io_uring_enter.
  for (let index = 0; index < completions.length; index++) {
    if (completions.token(index) === LISTENER) accept(index);
    else echo(index);
  }
}

function accept(index: number): void {
  const stream = new TcpStream(completions.handle(index));
  streams.set(++lastToken, stream);
  operations.receive(lastToken, stream, BYTES);
}

/** A client has one operation at a time, so its bytes keep their order. */
function echo(index: number): void {
  const token = completions.token(index);
  const stream = streams.get(token)!;
  if (completions.result(index) <= 0) {
    streams.delete(token); // The client has ended the connection, or reset it.
    stream.close();
  } else if (completions.operation(index) === "send") {
    operations.receive(token, stream, BYTES);
  } else {
    const [start, end] = [completions.start(index), completions.end(index)];
    operations.send(token, stream, start, end);
  }
}
