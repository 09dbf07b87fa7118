/**
 * The table of a group of Workers that accept from one socket: a row of numbers
 * for each member, in shared memory.
 *
 * The numbers are hints, since members read them while others write them. A
 * stale number may delay a connection or cost balance, but must never lose a
 * connection.
 *
 * @module
 */

import { nativeThread } from "../../native/library.ts";
import { Interest } from "../../poll/interest.ts";
import { Registry } from "../../poll/registry.ts";
import type { Token } from "../../poll/token.ts";

/** 64 bytes, a cache line: members do not slow each other down by writing. */
const ROW_WORDS = 16;
/** Connections accepted so far. */
const ACCEPTED = 0;
/** Connections open now. */
const OPEN = 1;
/** The handle of the poll that its listener is registered with: two words. */
const REGISTRY = 8;
/** Its listener's handle: two words. */
const LISTENER = 10;
/** Whether it accepts: the handles are valid then. */
const IS_PRESENT = 2;
/** The token that its listener is registered under. */
const TOKEN = 4;
/** Whether the system notifies one listener, and not all of them. */
const IS_EXCLUSIVE = 5;
/** `ACCEPTED` plus 1 when it missed its turn; 0 when it never did. */
const MISSED = 6;
/** The number of its Worker's thread in native code; 0 is none. */
const OWNER = 7;

/** How a member's listener is registered. */
export interface Registration {
  /** The registry of the member's poll. */
  readonly registry: Registry;
  /** The listener's handle. */
  readonly listener: number;
  /** The listener's token. */
  readonly token: Token;
  /** Whether the system notifies one listener, and not all of them. */
  readonly exclusive: boolean;
}

/** The rows of a group's members, by index. */
export class AcceptTable {
  /** The memory, which can be posted. */
  readonly words: Int32Array<SharedArrayBuffer>;

  /** @param words The memory, which other tables may share. */
  constructor(words: Int32Array<SharedArrayBuffer>) {
    this.words = words;
  }

  /** Returns a new table for `count` members. */
  static of(count: number): AcceptTable {
    const bytes = count * ROW_WORDS * Int32Array.BYTES_PER_ELEMENT;
    return new AcceptTable(new Int32Array(new SharedArrayBuffer(bytes)));
  }

  /** The number of members. */
  get size(): number {
    return this.words.length / ROW_WORDS;
  }

  /** Stores that a member runs on this thread, which is a Worker's. */
  setThread(index: number): void {
    this.#set(index, OWNER, nativeThread().denio_thread_own());
  }

  /**
   * Closes all handles that a member's thread has opened, from another thread:
   * for a member that never returns to its event loop, and so cannot be ended.
   */
  closeAllOf(index: number): void {
    const owner = this.#get(index, OWNER);
    // First: by it the member knows why its handles are stale.
    this.#set(index, OWNER, 0);
    nativeThread().denio_thread_end(owner);
  }

  /** Whether {@linkcode AcceptTable.closeAllOf} was called for a member. */
  isEnded(index: number): boolean {
    return this.#get(index, OWNER) === 0;
  }

  /** Returns how many connections a member has accepted. */
  accepted(index: number): number {
    return this.#get(index, ACCEPTED) >>> 0;
  }

  /** Counts a connection that a member has accepted. */
  countAccepted(index: number): void {
    Atomics.add(this.words, index * ROW_WORDS + ACCEPTED, 1);
  }

  /** Returns how many connections a member has open. */
  open(index: number): number {
    return this.#get(index, OPEN);
  }

  /** Stores how many connections a member has open. */
  setOpen(index: number, count: number): void {
    this.#set(index, OPEN, count);
  }

  /** Returns whether a member accepts. */
  isPresent(index: number): boolean {
    return this.#get(index, IS_PRESENT) !== 0;
  }

  /** Stores that a member accepts from now on. */
  enter(index: number, registration: Registration): void {
    const { listener, registry, token, exclusive } = registration;
    this.#set(index, OPEN, 0);
    this.#set(index, MISSED, 0);
    this.#setHandle(index, LISTENER, listener);
    this.#setHandle(index, REGISTRY, registry.handle);
    this.#set(index, TOKEN, token);
    this.#set(index, IS_EXCLUSIVE, Number(exclusive));
    // Last: a thread that reads this word also reads the words above.
    this.#set(index, IS_PRESENT, 1);
  }

  /** Stores that a member accepts no more. */
  leave(index: number): void {
    this.#set(index, IS_PRESENT, 0);
    this.#setHandle(index, REGISTRY, 0);
    this.#set(index, OPEN, 0);
  }

  /**
   * Registers a member's listener, unless it is registered, from any thread:
   * the system notifies the member of waiting connections from now on.
   *
   * @returns Less than 0 when the listener was registered before, or cannot be.
   */
  call(index: number): number {
    const exclusive = this.#get(index, IS_EXCLUSIVE) !== 0;
    return this.#registry(index).tryRegister(
      { handle: this.#handle(index, LISTENER) },
      this.#get(index, TOKEN) >>> 0,
      Interest.READABLE,
      { exclusive },
    );
  }

  /** Deregisters a member's listener: the system notifies others only. */
  dismiss(index: number): void {
    const handle = this.#handle(index, LISTENER);
    this.#registry(index).tryDeregister({ handle });
  }

  /** Registers a member's listener anew, which notifies it once more. */
  recall(index: number): void {
    this.dismiss(index);
    this.call(index);
  }

  /** Stores that a member missed its turn to accept. */
  miss(index: number): void {
    this.#set(index, MISSED, this.#get(index, ACCEPTED) + 1 | 0);
  }

  /** Returns whether a member has accepted nothing since it missed its turn. */
  isMissing(index: number): boolean {
    const accepted = this.#get(index, ACCEPTED);
    return this.#get(index, MISSED) === (accepted + 1 | 0);
  }

  #registry(index: number): Registry {
    return new Registry(this.#handle(index, REGISTRY));
  }

  /** Reads a handle; during a write by another thread it may be invalid. */
  #handle(index: number, word: number): number {
    const low = this.#get(index, word) >>> 0;
    return this.#get(index, word + 1) * 2 ** 32 + low;
  }

  #setHandle(index: number, word: number, handle: number): void {
    this.#set(index, word, handle | 0);
    this.#set(index, word + 1, Math.floor(handle / 2 ** 32));
  }

  #get(index: number, word: number): number {
    return Atomics.load(this.words, index * ROW_WORDS + word);
  }

  #set(index: number, word: number, value: number): void {
    Atomics.store(this.words, index * ROW_WORDS + word, value);
  }
}
