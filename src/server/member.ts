/**
 * The program of one Worker of a group: serves until it is told to stop.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import type { UnixListenOptions } from "../net/unix_listener.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { TcpAddress, UnixAddress } from "../net/address.ts";
import { joinChannel } from "../reactor/channel.ts";
import type { Connection, ConnectionHandlers } from "../reactor/connection.ts";
import { SHARED_MEMORY_BYTES_MAX } from "../reactor/limits.ts";
import type { AnyListener, Listener } from "../reactor/listener.ts";
import { Reactor, type ReactorOptions } from "../reactor/reactor.ts";
import { type Assignment, listening, type Order, tell } from "./control.ts";
import { echo } from "./echo.ts";
import { loadHandler } from "./module.ts";
import { serve } from "./serve.ts";

/** A running server of either kind. */
interface Server {
  readonly addr: Deno.NetAddr;
  shutdown(): Promise<void>;
}

/** A reactor that has its thread to itself, and counts what it accepts. */
class MemberReactor extends Reactor {
  readonly #count: () => void;

  constructor({ backend, accepted, index }: Assignment) {
    super({
      exclusive: true,
      memoryBytesMax: SHARED_MEMORY_BYTES_MAX,
      ...backend && { backend },
    } as ReactorOptions);
    this.#count = () => Atomics.add(accepted, index, 1);
  }

  override listen<Data = unknown>(
    options: ListenOptions,
    handlers: ConnectionHandlers<Data>,
  ): Listener<TcpAddress>;
  override listen<Data = unknown>(
    options: UnixListenOptions,
    handlers: ConnectionHandlers<Data>,
  ): Listener<UnixAddress>;
  override listen<Data = unknown>(
    options: ListenOptions | UnixListenOptions,
    handlers: ConnectionHandlers<Data>,
  ): AnyListener {
    return super.listen<Data>(options as ListenOptions, {
      ...handlers,
      open: (connection) => {
        this.#count();
        handlers.open?.(connection);
      },
    });
  }
}

/** Serves as it was assigned. */
class Member {
  readonly #assignment: Assignment;
  readonly #reactor: MemberReactor;
  readonly #control: Connection;
  #server: Server | undefined = undefined;
  #isStopping = false;

  constructor(assignment: Assignment) {
    this.#assignment = assignment;
    this.#reactor = new MemberReactor(assignment);
    this.#control = joinChannel(
      this.#reactor,
      assignment.control,
      listening<Order>(() => this.#stop(), () => self.close()),
    );
  }

  async run(): Promise<void> {
    // Loading is for Deno's loop to do, which the reactor must not block.
    this.#reactor.beginWork();
    try {
      await this.#serve();
    } catch (error) {
      const { name, message } = error instanceof Error
        ? error
        : new Error(String(error));
      tell(this.#control, { kind: "failed", name, message });
      this.#control.close();
    } finally {
      this.#reactor.endWork();
    }
  }

  async #serve(): Promise<void> {
    const reactor = this.#reactor;
    const { module, folder, hostname, port, options } = this.#assignment;
    const where = { hostname, port, reactor, reusePort: true };
    const handler = module && await loadHandler(module, folder);
    if (this.#isStopping) return this.#stopped();
    this.#server = handler
      ? serve({ ...where, ...options, onListen() {} }, handler)
      : echo(where);
    const { addr } = this.#server;
    tell(this.#control, { kind: "serving", addr, backend: reactor.backend });
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    // While it loads there is no server, and loading will see that.
    if (this.#server === undefined) return;
    await this.#server.shutdown();
    this.#stopped();
  }

  #stopped(): void {
    tell(this.#control, { kind: "stopped" });
    this.#control.close();
  }
}

self.addEventListener("message", ({ data }: MessageEvent<Assignment>) => {
  new Member(data).run();
}, { once: true });
