/**
 * What reactors that accept from one socket, each on its thread, know of one
 * another: a row of numbers for each, in shared memory.
 *
 * The numbers are hints, read while others write them: a wrong one may cost a
 * moment or the balance, and must never cost a connection.
 *
 * @module
 */

import { nativeThread } from "../../native/library.ts";
import { Interest } from "../../poll/interest.ts";
import { Registry } from "../../poll/registry.ts";
import type { Token } from "../../poll/token.ts";

/** 64 bytes, a cache line: nobody waits for another's writing. */
const ROW_WORDS = 16;
/** Connections accepted so far. */
const ACCEPTED = 0;
/** Connections open now. */
const OPEN = 1;
/** Where its listener is registered: a handle, which takes two words. */
const REGISTRY = 8;
/** Its listener's handle, of two words. */
const LISTENER = 10;
/** Whether it accepts, so that the handles are somebody's. */
const IS_PRESENT = 2;
/** The token that its listener is registered under. */
const TOKEN = 4;
/** Whether one listener is to be told, and not each of them. */
const IS_EXCLUSIVE = 5;
/** `ACCEPTED` and one more, when it let its turn pass; 0 when it never did. */
const MISSED = 6;
/** By which number native code knows its Worker's thread; 0 is none. */
const OWNER = 7;

/** How a member's listener is registered. */
export interface Place {
  /** With which poll. */
  readonly registry: Registry;
  /** The listener's handle. */
  readonly listener: number;
  /** Under which token. */
  readonly token: Token;
  /** Whether one listener is told, and not each of them. */
  readonly exclusive: boolean;
}

/** Rows for the members of a group, each with its index. */
export class AcceptTable {
  /** The memory, which can be posted. */
  readonly words: Int32Array<SharedArrayBuffer>;

  /** Stands for the same memory as another table. */
  constructor(words: Int32Array<SharedArrayBuffer>) {
    this.words = words;
  }

  /** Makes a table of so many members. */
  static of(count: number): AcceptTable {
    const bytes = count * ROW_WORDS * Int32Array.BYTES_PER_ELEMENT;
    return new AcceptTable(new Int32Array(new SharedArrayBuffer(bytes)));
  }

  /** How many members it has rows for. */
  get size(): number {
    return this.words.length / ROW_WORDS;
  }

  /** Says that a member runs on this thread, which is a Worker's. */
  setThread(index: number): void {
    this.#set(index, OWNER, nativeThread().denio_thread_own());
  }

  /**
   * Closes all that a member's thread has opened, from another thread: for one
   * that never returns to its event loop, and so cannot be ended.
   */
  closeAllOf(index: number): void {
    const owner = this.#get(index, OWNER);
    // First: the member sees by it why its handles are none any more.
    this.#set(index, OWNER, 0);
    nativeThread().denio_thread_end(owner);
  }

  /** Whether that was done to a member. */
  isEnded(index: number): boolean {
    return this.#get(index, OWNER) === 0;
  }

  /** Connections that a member has accepted so far. */
  accepted(index: number): number {
    return this.#get(index, ACCEPTED) >>> 0;
  }

  /** Counts one more. */
  countAccepted(index: number): void {
    Atomics.add(this.words, index * ROW_WORDS + ACCEPTED, 1);
  }

  /** Connections that a member has open. */
  open(index: number): number {
    return this.#get(index, OPEN);
  }

  /** Says how many a member has open. */
  setOpen(index: number, count: number): void {
    this.#set(index, OPEN, count);
  }

  /** Whether a member accepts at all. */
  isPresent(index: number): boolean {
    return this.#get(index, IS_PRESENT) !== 0;
  }

  /** A member accepts from now on, and can be called. */
  enter(index: number, place: Place): void {
    this.#set(index, OPEN, 0);
    this.#set(index, MISSED, 0);
    this.#setHandle(index, LISTENER, place.listener);
    this.#setHandle(index, REGISTRY, place.registry.handle);
    this.#set(index, TOKEN, place.token);
    this.#set(index, IS_EXCLUSIVE, Number(place.exclusive));
    // Last: who sees it sees the others.
    this.#set(index, IS_PRESENT, 1);
  }

  /** A member accepts nothing any more. */
  leave(index: number): void {
    this.#set(index, IS_PRESENT, 0);
    this.#setHandle(index, REGISTRY, 0);
    this.#set(index, OPEN, 0);
  }

  /**
   * Registers a member's listener, unless it is registered: who waits at the
   * socket is told to the member, from whatever thread this is called.
   *
   * @returns Less than 0 when it was registered before, or cannot be.
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

  /** Takes a member's listener out of who is told. */
  dismiss(index: number): void {
    const handle = this.#handle(index, LISTENER);
    this.#registry(index).tryDeregister({ handle });
  }

  /** Has a member look who waits at the socket, though it was told before. */
  recall(index: number): void {
    this.dismiss(index);
    this.call(index);
  }

  /** Notes that a member did not accept when it was its turn. */
  miss(index: number): void {
    this.#set(index, MISSED, this.#get(index, ACCEPTED) + 1 | 0);
  }

  /** Whether a member has accepted nothing since it let its turn pass. */
  isMissing(index: number): boolean {
    const accepted = this.#get(index, ACCEPTED);
    return this.#get(index, MISSED) === (accepted + 1 | 0);
  }

  #registry(index: number): Registry {
    return new Registry(this.#handle(index, REGISTRY));
  }

  /** A handle that is being written may be read as one that is nobody's. */
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
