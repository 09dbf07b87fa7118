/**
 * The conduct of a program on one WebSocket: what its handlers do.
 *
 * @module
 */

import type {
  Message,
  SendResult,
  ServerWebSocket,
} from "../../src/websocket/socket.ts";
import { taggedBytes } from "./bytes.ts";
import { PlannedError } from "./http_handler.ts";
import type { Client } from "./websocket_client.ts";
import { frameOf, Model, type Surroundings } from "./websocket_model.ts";
import type { World } from "./world.ts";

/** What the program does with messages. */
export type Manner = typeof MANNERS[number];

/** All of them; some more often than others. */
export const MANNERS = [
  "echo",
  "echo",
  "obedient echo",
  "obedient echo",
  "sleepy",
  "sleepy",
  "loop",
  "streams",
  "pusher",
  "obedient pusher",
  "herald",
  "sink",
] as const;
/** What else it does, also outside of handlers. */
const CALLS = [
  "pause",
  "pause",
  "resume",
  "send",
  "ping",
  "pong",
  "close",
  "terminate",
  "publish",
  "publish",
  "subscribe",
  "unsubscribe",
] as const;
/** What else it does in a handler. */
const DEEDS = [...CALLS, "throw", "disturb"] as const;
/** The longest promises and pauses; a few are longer than the idle time. */
const REST_MS = 20;
const LONG_REST_MS = 400;
const PUSHES_MAX = 40;
const PUSHED_BYTES_MAX = 30_000;
/** About how many bytes a program pushes. */
export const PUSHED_BYTES = 200_000;
/** The first byte of what a control frame of the program carries. */
const PROGRAMS = 2;
const CONTROLS = 7_000;
const PUBLISHED = 8_000;
const PUBLISHED_BYTES_MAX = 20_000;
const TOPICS = ["news", "weather", "sport"];
const CONTROL_BYTES_MAX = 125;

/** What all conducts of a world share. */
export interface Company extends Surroundings {
  /** The open WebSockets. */
  readonly live: Set<Conduct>;
}

/** The conduct on one WebSocket. */
export class Conduct {
  readonly model: Model;
  readonly manner: Manner;
  readonly #world: World;
  readonly #live: Set<Conduct>;
  /** How often the program does what it was not asked for. */
  readonly #mischief: number;
  #pushes: number;
  #controls = 0;
  readonly #backlog: Message[] = [];

  /** @param manner What the program does with messages. */
  constructor(company: Company, client: Client, manner: Manner) {
    const { world } = company;
    this.#world = world;
    this.#live = company.live;
    this.model = new Model(company, client);
    this.manner = manner;
    this.#mischief = world.pick([0, 0, 0.02, 0.2]);
    this.#pushes = manner.endsWith("pusher") ? world.whole(1, PUSHES_MAX) : 0;
  }

  /** The handler `open`. */
  open(socket: ServerWebSocket): unknown {
    const { model, manner } = this;
    model.log(`is open: ${manner}`);
    model.opened(socket);
    this.#live.add(this);
    // What is piped is sent later than the model assumes.
    if (manner !== "streams") {
      for (const topic of TOPICS) {
        if (this.#world.chance(0.5)) model.subscribe(topic);
      }
    }
    this.#do();
    if (manner === "loop") return model.holds(this.#loop());
    if (manner === "streams") return model.holds(this.#pipe());
    if (manner.endsWith("pusher")) this.#push();
    if (manner === "sleepy" && this.#world.chance(0.5)) {
      return model.holds(this.#sleep());
    }
  }

  /** The handler `message`. */
  message(message: Message): unknown {
    return this.model.message(message, () => {
      this.#world.compute();
      this.#do();
      return this.#act(message);
    });
  }

  /** The handlers `ping` and `pong`. */
  control(kind: "ping" | "pong", bytes: Uint8Array<ArrayBuffer>): unknown {
    this.model.control(kind, bytes);
    this.#do();
    if (this.#world.chance(0.1)) return this.model.holds(this.#sleep());
  }

  /** The handler `drain`. */
  drain(): unknown {
    this.model.drain();
    this.#do();
    if (this.manner === "obedient pusher") this.model.socket.resume();
    if (this.manner.endsWith("pusher")) this.#push();
    this.#sendBacklog();
    // This promise holds no messages.
    if (this.#world.chance(0.5)) return this.#sleep();
  }

  /** The handler `error`. */
  error(error: Error): void {
    this.model.error(error);
    if (this.#isMischievous(0.3)) this.model.terminate();
    else this.#do();
  }

  /** The handler `close`. */
  close(code: number, reason: string, wasClean: boolean): void {
    this.#live.delete(this);
    this.model.closed(code, reason, wasClean);
    this.#do();
  }

  /** Does something while no handler of this WebSocket runs, or one does. */
  disturb(): void {
    this.#commit(this.#world.pick(CALLS));
  }

  /** Sends a message. */
  remind(): void {
    this.#send("news");
  }

  #act(message: Message): unknown {
    switch (this.manner) {
      case "echo":
        return void this.#send(message);
      case "obedient echo":
        this.#backlog.push(message);
        return this.#sendBacklog();
      case "herald":
        this.#publish();
        // Behind what was published.
        return this.#world.pick([...this.#live])?.remind();
      case "sleepy":
        return this.model.holds(this.#answerLate(message));
    }
  }

  async #answerLate(message: Message): Promise<void> {
    await this.#sleep();
    this.#do();
    this.#send(message);
  }

  /** Sends what waits; pauses while the peer takes no more. */
  #sendBacklog(): void {
    const { socket } = this.model;
    while (this.#backlog.length > 0) {
      const result = this.#send(this.#backlog[0]!);
      if (socket.readyState !== 1) return;
      if (result !== "refused") this.#backlog.shift();
      if (result !== "sent") return socket.pause();
    }
    if (this.manner === "obedient echo") socket.resume();
  }

  /** Sends until the peer takes no more. */
  #push(): void {
    while (this.#pushes > 0) {
      const size = this.#world.chance(0.3)
        ? PUSHED_BYTES_MAX
        : this.#world.size(PUSHED_BYTES_MAX);
      const result = this.#send(taggedBytes(this.#pushes, 0, size));
      if (result !== "refused") this.#pushes--;
      if (result === "sent") continue;
      if (this.manner === "obedient pusher") this.model.socket.pause();
      return;
    }
    if (this.#world.chance(0.2)) this.#close();
  }

  async #loop(): Promise<void> {
    if (this.#world.chance(0.3)) await this.#sleep();
    this.model.isLooping = true;
    try {
      await this.#loopOver();
    } finally {
      this.model.isLooping = false;
    }
  }

  async #loopOver(): Promise<void> {
    for await (const message of this.model.socket) {
      this.model.take(message);
      if (this.#world.chance(0.3)) await this.#sleep();
      if (this.#isMischievous(this.#mischief)) {
        this.model.ends("1000 ");
        break;
      }
      this.#do();
      this.#send(message);
    }
  }

  #pipe(): Promise<void> {
    const { model } = this;
    model.isLooping = true;
    // A stream that fails closes the WebSocket.
    model.mayEnd("1000 ");
    model.mayEnd("1011 ");
    const { readable, writable } = model.socket.streams();
    const watch = new TransformStream<Message, Message>({
      transform: (message, controller) => {
        model.take(message);
        model.client.sent.push(frameOf(message));
        controller.enqueue(message);
      },
    });
    return readable.pipeThrough(watch).pipeTo(writable)
      .finally(() => model.isLooping = false);
  }

  #send(message: Message): SendResult {
    const compress = this.#world.pick([true, false, undefined]);
    return this.model.send(message, compress === undefined ? {} : { compress });
  }

  #isMischievous(chance: number): boolean {
    return this.#mischief > 0 && this.#world.chance(chance);
  }

  /** Does what the program was not asked for, now and then. */
  #do(): void {
    if (!this.#isMischievous(this.#mischief)) return;
    this.#commit(this.#world.pick(DEEDS));
  }

  #commit(deed: typeof DEEDS[number]): void {
    const { model } = this;
    model.log(`the program: ${deed}`);
    switch (deed) {
      case "pause":
        return this.#pause();
      case "resume":
        return model.socket.resume();
      case "send":
        return void this.#send(`extra ${model.client.number}`);
      case "ping":
      case "pong":
        return this.#control(deed);
      case "close":
        return this.#close();
      case "terminate":
        return model.terminate();
      case "publish":
        return this.#publish();
      case "subscribe":
      case "unsubscribe":
        if (this.manner === "streams") return;
        return model[deed](this.#world.pick(TOPICS));
      case "throw":
        return this.#fail();
      case "disturb":
        return this.#world.pick([...this.#live])?.disturb();
    }
  }

  /** Stops for a while, or for no time. */
  #pause(): void {
    this.model.socket.pause();
    if (this.#world.chance(0.2)) return this.model.resume();
    this.#world.inDeno(this.#restMs(), () => this.model.resume());
  }

  #control(kind: "ping" | "pong"): void {
    const tag = CONTROLS + this.#controls++;
    const payload = taggedBytes(tag, 0, CONTROL_BYTES_MAX);
    payload[0] = PROGRAMS;
    this.model.sendControl(kind, payload);
  }

  #publish(): void {
    const size = this.#world.size(PUBLISHED_BYTES_MAX);
    const message = taggedBytes(PUBLISHED, 0, size);
    const others = [...this.#live].map(({ model }) => model);
    this.model.publish(this.#world.pick(TOPICS), message, others);
  }

  #close(): void {
    const code = this.#world.pick([1000, 1001, 3000, 4999]);
    const reason = this.#world.pick(["", "enough", "é".repeat(61)]);
    this.model.close(code, reason);
  }

  #fail(): never {
    this.model.ends("1011 ");
    throw new PlannedError("The handler failed");
  }

  #restMs(): number {
    const isLong = this.#world.chance(0.03);
    return this.#world.delayMs(isLong ? LONG_REST_MS : REST_MS);
  }

  async #sleep(): Promise<void> {
    await this.#world.sleep(this.#restMs());
    if (this.#isMischievous(this.#mischief / 2)) this.#fail();
  }
}
