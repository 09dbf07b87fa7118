/**
 * The program of one Worker of a group: serves until the group sends `stop`.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import type { UnixListenOptions } from "../../net/unix_listener.ts";
import type { ListenOptions } from "../../net/tcp_listener.ts";
import type { TcpAddress, UnixAddress } from "../../net/address.ts";
import { AcceptTable } from "./accept_table.ts";
import { joinChannel } from "./channel.ts";
import type {
  Connection,
  ConnectionHandlers,
} from "../../reactor/connection.ts";
import { SHARED_MEMORY_BYTES_MAX } from "../../reactor/connection_options.ts";
import type { AnyListener, Listener } from "../../reactor/listener.ts";
import { Reactor, type ReactorOptions } from "../../reactor/reactor.ts";
import { SharedListener } from "./shared_listener.ts";
import { NATIVE } from "../../system/readiness.ts";
import type { System } from "../../system/system.ts";
import { type Assignment, type Order, receiving, send } from "./control.ts";
import { echo } from "../echo.ts";
import { loadServed, type Served } from "../module.ts";
import type { ServeAddress } from "../../http/transport.ts";
import { serveHttp } from "../http_server.ts";
import { WorkerTopicLink } from "./topic_link.ts";

/** A running HTTP or echo server. */
interface MemberServer {
  readonly addr: ServeAddress;
  shutdown(): Promise<void>;
}

/** Notified of a reactor's connections and errors. */
interface Counter {
  /** A connection was accepted. */
  opened(): void;
  /** A connection that was accepted has closed. */
  closed(): void;
  /** The reactor has an error that belongs to no connection. */
  failed(error: unknown): void;
}

/** A reactor alone on its thread, which counts its accepted connections. */
class MemberReactor extends Reactor {
  readonly #counter: Counter;

  constructor(backend: string | undefined, system: System, counter: Counter) {
    super({
      exclusive: true,
      memoryBytesMax: SHARED_MEMORY_BYTES_MAX,
      system,
      onError: (error) => counter.failed(error),
      ...backend && { backend },
    } as ReactorOptions);
    this.#counter = counter;
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
        this.#counter.opened();
        handlers.open?.(connection);
      },
      // `gone` is called for any protocol that the connection has by then.
      gone: (connection, reason) => {
        this.#counter.closed();
        handlers.gone?.(connection, reason);
      },
    });
  }
}

/** The server of one Worker, by its assignment. */
class Member implements Counter {
  readonly #assignment: Assignment;
  readonly #table: AcceptTable;
  readonly #reactor: MemberReactor;
  readonly #control: Connection;
  #server: MemberServer | undefined = undefined;
  #link: WorkerTopicLink | undefined = undefined;
  #shared: SharedListener | undefined = undefined;
  #isStopping = false;

  constructor(assignment: Assignment) {
    this.#assignment = assignment;
    this.#table = new AcceptTable(assignment.table);
    const { backend } = assignment;
    this.#reactor = new MemberReactor(backend, this.#system(), this);
    this.#table.setThread(assignment.index);
    this.#control = joinChannel(
      this.#reactor,
      assignment.control,
      receiving<Order>({
        message: () => this.#stop(),
        topic: (frame) => this.#link?.receive(frame),
        drain: () => this.#link?.drain(),
        end: () => self.close(),
      }),
    );
  }

  async run(): Promise<void> {
    // Deno's loop loads the module: the reactor must not block it.
    this.#reactor.beginWork();
    try {
      await this.#serve();
    } catch (error) {
      const { name, message } = error instanceof Error
        ? error
        : new Error(String(error));
      send(this.#control, { kind: "failed", name, message });
      this.#control.close();
    } finally {
      this.#reactor.endWork();
    }
  }

  failed(error: unknown): void {
    // The group has terminated this Worker, and has closed its handles.
    if (this.#table.isEnded(this.#assignment.index)) return;
    // The error is reported nowhere else.
    // deno-lint-ignore no-console
    console.error(error);
  }

  opened(): void {
    this.#table.countAccepted(this.#assignment.index);
    this.#shared?.opened();
  }

  closed(): void {
    this.#shared?.closed();
  }

  /** Returns the native system; with a shared socket, `listen` returns that. */
  #system(): System {
    const { shared, index } = this.#assignment;
    if (shared === undefined) return NATIVE;
    return {
      ...NATIVE,
      listen: () =>
        this.#shared = new SharedListener(shared, this.#table, index),
    };
  }

  async #serve(): Promise<void> {
    const { module, folder } = this.#assignment;
    const served = module && await loadServed(module, folder);
    if (this.#isStopping) return;
    this.#server = served ? this.#serveHttp(served) : this.#echo();
    const { addr } = this.#server;
    const { backend } = this.#reactor;
    send(this.#control, { kind: "serving", addr, backend });
  }

  #serveHttp(served: Served): MemberServer {
    const { handler, observer, websocket, topics } = served;
    const { where, options, origin } = this.#assignment;
    const how = {
      ...options,
      ...observer && { observer },
      ...websocket && { websocket },
      ...topics && { topics },
      reactor: this.#reactor,
      onListen() {},
    };
    const server = "path" in where
      ? serveHttp({ ...how, ...where }, handler)
      : serveHttp({ ...how, ...where, reusePort: true }, handler);
    server.hub.origin = origin;
    this.#link = new WorkerTopicLink(this.#control, server.hub, {
      forwards: topics !== undefined,
      hasOthers: this.#table.size > 1,
    });
    return server;
  }

  #echo(): MemberServer {
    const { where } = this.#assignment;
    // The group terminates a Worker that takes too long.
    const how = { reactor: this.#reactor, graceMs: Infinity };
    return "path" in where
      ? echo({ ...where, ...how })
      : echo({ ...where, ...how, reusePort: true });
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    // The reactor must not block before the code below the `await` has run.
    this.#reactor.beginWork();
    try {
      // While the module loads there is no server yet.
      await this.#server?.shutdown();
      send(this.#control, { kind: "stopped" });
      this.#control.close();
    } finally {
      this.#reactor.endWork();
    }
  }
}

self.addEventListener("message", ({ data }: MessageEvent<Assignment>) => {
  new Member(data).run();
}, { once: true });
