/**
 * A UDP echo on a reactor: each datagram goes back to its sender.
 *
 * `deno run -A tests/examples/udp_echo.ts 7007`
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { type HostPort, Reactor, type Watch } from "../../mod.ts";
import { Interest, UdpSocket, WOULD_BLOCK } from "../../src/poll.ts";

/** The longest datagram over IPv4. */
const DATAGRAM_BYTES_MAX = 65_507;
/** Datagrams of one turn: other sources of the reactor get their share. */
const TURN_MAX = 64;

/** A running echo. */
export interface UdpEcho extends Disposable {
  /** The bound address. */
  readonly addr: HostPort;
}

/** Echoes datagrams at an address. */
export function udpEcho(
  address: HostPort,
  reactor: Reactor = Reactor.shared,
): UdpEcho {
  const socket = UdpSocket.bind(address);
  const buffer = new Uint8Array(DATAGRAM_BYTES_MAX);
  const answer = (_readiness: number, watch: Watch) => {
    for (let count = 0; count < TURN_MAX; count++) {
      const length = socket.receiveFrom(buffer);
      if (length === WOULD_BLOCK) return;
      // UDP may lose datagrams: those without room in the system are lost.
      socket.sendTo(buffer, socket.sender!, 0, length);
    }
    watch.requeue();
  };
  const watch = reactor.watch(socket, Interest.READABLE, answer);
  return {
    addr: socket.localAddress,
    [Symbol.dispose]: () => watch.close(),
  };
}

if (import.meta.main) {
  const port = Number(Deno.args[0] ?? 7007);
  const { addr } = udpEcho({ hostname: "127.0.0.1", port });
  console.log(`udp echo on ${addr.hostname}:${addr.port}`);
}
