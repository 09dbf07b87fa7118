/**
 * The batch of operations that a program submits.
 *
 * @module
 */

import { REQUEST_BYTES } from "../native/symbols.ts";
import { encodeAddress, type HostPort, hostPort } from "../net/address.ts";
import { requireNet } from "../net/permissions.ts";
import type { InterestSet } from "../poll/interest.ts";
import { checkInterest } from "../poll/interest.ts";
import type { Shutdown } from "../net/stream.ts";
import type { Source } from "../poll/registry.ts";
import { checkToken, type Token } from "../poll/token.ts";
import { Code } from "./operation.ts";
import { bitsFor, type OpenNumbers, openNumbers } from "./open_options.ts";
import { type PermittedPath, permittedPath } from "./path_permissions.ts";

/** The layout of a request, which native code shares. */
const NUMBERS = REQUEST_BYTES / Float64Array.BYTES_PER_ELEMENT;
const WORDS = REQUEST_BYTES / Uint32Array.BYTES_PER_ELEMENT;
const SOURCE = 0;
const OTHER = 1;
const OFFSET = 2;
const OTHER_OFFSET = 3;
const REAPER = 4;
const TOKEN = 10;
const CODE = 11;
const START = 12;
const END = 13;
const ARGUMENT = 14;
const FLAGS = 15;

/** Bits of the flags, as of `Request` in Rust. */
const NAMED = 1;
const GATHER = 2;

/** The position of a source that has none, and a file's own. */
const NO_POSITION = -1;
const CAPACITY_DEFAULT = 256;
const CAPACITY_MAX = 65_536;
/** Room for a few paths, at first. */
const NAMES_BYTES = 1024;
const LENGTH_MAX = 2 ** 30;
/**
 * Pinning pages and a second completion cost more than copying fewer bytes:
 * https://github.com/axboe/liburing/issues/801.
 */
const ZERO_COPY_BYTES_MIN = 32_768;

const HALVES: readonly Shutdown[] = ["read", "write", "both"];

/** Adds an operation with a name to a batch. Set by the class below. */
let addNamed: (
  operations: Operations,
  code: number,
  token: Token,
  name: Uint8Array,
) => Numbers;

/** Where the fields of one operation lie. */
interface Numbers {
  readonly numbers: Float64Array;
  readonly number: number;
  readonly words: Uint32Array;
  readonly word: number;
}

/**
 * Adds a connect without a permission check: the caller has checked the name to
 * which the address belongs. Internal: `src/proactor.ts` does not export it.
 */
export function connectPermitted(
  operations: Operations,
  token: Token,
  address: HostPort,
): void {
  addNamed(operations, Code.connect, token, encodeAddress(address));
}

/**
 * Adds an open without a permission check. Internal: `src/proactor.ts` does not
 * export it.
 */
export function openPermitted(
  operations: Operations,
  token: Token,
  path: PermittedPath,
  { bits, mode }: OpenNumbers,
): void {
  const { numbers, number, words, word } = addNamed(
    operations,
    Code.open,
    token,
    path.bytes,
  );
  numbers[number + OFFSET] = mode;
  words[word + ARGUMENT] = bitsFor(bits, path.follows);
}

/**
 * Operations that one call submits. A method adds one; `Proactor.submit` takes
 * them out. The arguments of `source` are sockets, pipes and files of this
 * library.
 */
export class Operations {
  /** The most operations that the batch holds. */
  readonly capacity: number;
  #length = 0;
  /** The handle of the reaper that gets the completions of what is added. */
  #reaper = 0;
  readonly #memory: ArrayBuffer;
  readonly #words: Uint32Array<ArrayBuffer>;
  /** The same memory. */
  readonly #numbers: Float64Array<ArrayBuffer>;
  #names: Uint8Array<ArrayBuffer> = new Uint8Array(NAMES_BYTES);
  #namesLength = 0;

  static {
    addNamed = (operations, code, token, name) => {
      const index = operations.#addNamed(code, token, name, 0);
      return {
        numbers: operations.#numbers,
        number: NUMBERS * index,
        words: operations.#words,
        word: WORDS * index,
      };
    };
  }

  /**
   * Makes an empty batch.
   *
   * @param capacity The most operations that the batch holds, from 1 to 65536.
   * @throws {RangeError} when it is out of range.
   */
  constructor(capacity: number = CAPACITY_DEFAULT) {
    if (
      !Number.isInteger(capacity) || capacity < 1 || capacity > CAPACITY_MAX
    ) {
      throw new RangeError(
        `Cannot hold "${capacity}" operations: it must be an integer from 1 ` +
          `to ${CAPACITY_MAX}`,
      );
    }
    this.capacity = capacity;
    this.#memory = new ArrayBuffer(REQUEST_BYTES * capacity);
    this.#words = new Uint32Array(this.#memory);
    this.#numbers = new Float64Array(this.#memory);
  }

  /** The number of operations in the batch; set it to 0 to begin anew. */
  get length(): number {
    return this.#length;
  }

  /** @throws {RangeError} when the batch does not have so many. */
  set length(length: number) {
    if (!(Number.isInteger(length) && length >= 0 && length <= this.#length)) {
      throw new RangeError(
        `Cannot have "${length}" operations: it must be an integer from 0 to ` +
          `${this.#length}`,
      );
    }
    this.#length = length;
  }

  /**
   * Sends the completions of operations that are added from now on to a reaper;
   * `undefined` sends them to the proactor's owner.
   */
  set reaper(reaper: { readonly handle: number } | undefined) {
    this.#reaper = reaper?.handle ?? 0;
  }

  /** Completes at once, with 0. */
  nop(token: Token): void {
    this.#add(Code.nop, token, 0);
  }

  /**
   * Completes with 0 when `ms` milliseconds are over.
   *
   * @throws {RangeError} when `ms` is negative or no number.
   */
  timeout(token: Token, ms: number): void {
    if (!(ms >= 0 && ms < Infinity)) {
      throw new RangeError(
        `Cannot wait "${ms}" ms: it must be a number of zero or more`,
      );
    }
    const index = this.#add(Code.timeout, token, 0);
    this.#numbers[NUMBERS * index + OFFSET] = ms;
  }

  /** Accepts a connection: the completion has its `handle`. */
  accept(token: Token, listener: Source): void {
    this.#add(Code.accept, token, listener.handle);
  }

  /**
   * Accepts connections until it is cancelled or fails: each is a completion
   * that has more. It takes up to eight places of the proactor.
   */
  acceptMultishot(token: Token, listener: Source): void {
    this.#add(Code["accept-multishot"], token, listener.handle);
  }

  /**
   * Opens a TCP socket and connects it: the completion has its `handle`.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {TypeError} when the host is no IP address.
   */
  connect(token: Token, address: HostPort): void {
    const { hostname, port } = hostPort(address);
    requireNet(hostname, port);
    connectPermitted(this, token, { hostname, port });
  }

  /**
   * Receives up to `bytesMax` bytes of a socket, as soon as there are some. The
   * result is their number; 0 is the end of the stream.
   *
   * @throws {RangeError} when `bytesMax` is no integer from 1 to a GiB.
   */
  receive(token: Token, socket: Source, bytesMax: number): void {
    checkLength(bytesMax);
    const index = this.#add(Code.receive, token, socket.handle);
    this.#words[WORDS * index + END] = bytesMax;
  }

  /**
   * Receives bytes of a socket whenever some come, until the stream ends or the
   * operation is cancelled. Each piece is a completion that has more, of at most
   * the proactor's `bufferBytes`.
   */
  receiveMultishot(token: Token, socket: Source): void {
    this.#add(Code["receive-multishot"], token, socket.handle);
  }

  /**
   * Sends a range of the bytes that are given to `submit`, all of it: the
   * result is its length, unless the send is cancelled or fails midway.
   */
  send(token: Token, socket: Source, start: number, end: number): void {
    this.#addRange(Code.send, token, socket.handle, start, end);
  }

  /**
   * Sends like `send`, but the network card reads the bytes from where the
   * proactor has them: one copy less. It takes two places of the proactor. Below
   * 32 KiB this is a plain `send`, which costs less. It saves nothing to a peer
   * on this machine, for which the kernel copies in any case.
   */
  sendZeroCopy(token: Token, socket: Source, start: number, end: number): void {
    const isLong = end - start >= ZERO_COPY_BYTES_MIN;
    const code = isLong ? Code["send-zero-copy"] : Code.send;
    this.#addRange(code, token, socket.handle, start, end);
  }

  /**
   * Sends several ranges of the bytes that are given to `submit`, one behind the
   * other.
   *
   * @param ranges Pairs of start and end, of a GiB in all.
   */
  sendVectored(
    token: Token,
    socket: Source,
    ranges: readonly (readonly [start: number, end: number])[],
  ): void {
    for (const [start, end] of ranges) checkRange(start, end);
    const words = new Uint32Array(ranges.flat());
    const bytes = new Uint8Array(words.buffer);
    const index = this.#addNamed(Code.send, token, bytes, socket.handle);
    this.#words[WORDS * index + FLAGS] = GATHER;
  }

  /** Shuts down a half of a socket, or both. */
  shutdown(token: Token, socket: Source, half: Shutdown): void {
    const number = HALVES.indexOf(half);
    if (number < 0) {
      throw new TypeError(
        `Cannot shut down "${half}": it must be ${HALVES.join(", ")}`,
      );
    }
    const index = this.#add(Code.shutdown, token, socket.handle);
    this.#words[WORDS * index + ARGUMENT] = number;
  }

  /**
   * Closes a source, after it has cancelled the operations on it that have not
   * ended at once. Do not close the source's object as well.
   */
  close(token: Token, source: Source): void {
    this.#add(Code.close, token, source.handle);
  }

  /** Completes when a source is ready: the result is its readiness. */
  poll(token: Token, source: Source, interest: InterestSet): void {
    this.#addPoll(Code.poll, token, source, interest);
  }

  /**
   * Completes when a source is ready, and again each time that it is ready after
   * the program has taken the completion, until it is cancelled.
   */
  pollMultishot(token: Token, source: Source, interest: InterestSet): void {
    this.#addPoll(Code["poll-multishot"], token, source, interest);
  }

  /**
   * Opens a file, by default to read it: the completion has its `handle`.
   * Symbolic links are followed now, as Deno does; `-ELOOP` tells of a link
   * that leads nowhere.
   *
   * @throws {Deno.errors.NotCapable} without the permissions for the path, as
   * `Deno.open` requires them.
   * @throws {TypeError} when the path is empty, has a NUL or is no file URL, or
   * the options contradict each other.
   */
  open(
    token: Token,
    path: string | URL,
    options: Deno.OpenOptions = {},
  ): void {
    const numbers = openNumbers(options);
    openPermitted(this, token, permittedPath(path, numbers), numbers);
  }

  /**
   * Reads up to `bytesMax` bytes of a file or a pipe. The result is their
   * number; 0 is the end.
   *
   * @param at The position in the file; without it, the file's own, which the
   * read moves.
   */
  read(token: Token, source: Source, bytesMax: number, at?: number): void {
    checkLength(bytesMax);
    const index = this.#add(Code.read, token, source.handle);
    this.#words[WORDS * index + END] = bytesMax;
    this.#numbers[NUMBERS * index + OFFSET] = position(at);
  }

  /**
   * Writes a range of the bytes that are given to `submit` to a file or a pipe.
   * The result is how many were written, which may be less.
   *
   * @param at The position in the file; without it, the file's own.
   */
  write(
    token: Token,
    source: Source,
    start: number,
    end: number,
    at?: number,
  ): void {
    const offset = position(at);
    const index = this.#addRange(Code.write, token, source.handle, start, end);
    this.#numbers[NUMBERS * index + OFFSET] = offset;
  }

  /**
   * Completes when a file's bytes are on their disk: `fsync(2)`, or with
   * `dataOnly` `fdatasync(2)`.
   */
  fsync(token: Token, file: Source, dataOnly: boolean = false): void {
    const index = this.#add(Code.fsync, token, file.handle);
    this.#words[WORDS * index + ARGUMENT] = dataOnly ? 1 : 0;
  }

  /**
   * Describes a file, by its object or its path: the completion has bytes for
   * {@linkcode decodeStat}.
   *
   * @throws {Deno.errors.NotCapable} without the permission to read the path.
   */
  stat(token: Token, file: Source | string | URL): void {
    if (typeof file !== "string" && !(file instanceof URL)) {
      this.#add(Code.stat, token, file.handle);
      return;
    }
    const { bytes } = permittedPath(file, { read: true, write: false });
    const index = this.#addNamed(Code.stat, token, bytes, 0);
    this.#words[WORDS * index + FLAGS] = NAMED;
  }

  /**
   * Moves up to `bytesMax` bytes from one source to another without copying
   * them through the program; one of the two must be a pipe: `splice(2)`.
   *
   * @param at Positions in files; without them, the files' own.
   */
  splice(
    token: Token,
    from: Source,
    to: Source,
    bytesMax: number,
    at: { readonly from?: number; readonly to?: number } = {},
  ): void {
    checkLength(bytesMax);
    const positions = [position(at.from), position(at.to)] as const;
    const index = this.#add(Code.splice, token, from.handle);
    this.#words[WORDS * index + END] = bytesMax;
    this.#numbers[NUMBERS * index + OTHER] = to.handle;
    this.#numbers[NUMBERS * index + OFFSET] = positions[0];
    this.#numbers[NUMBERS * index + OTHER_OFFSET] = positions[1];
  }

  /**
   * Makes a completion at another proactor, with a token and a value of 32 bits.
   * Completes with 0, or `-EAGAIN` when the other has no room.
   *
   * @param proactor The other proactor, or an object with its handle.
   */
  message(
    token: Token,
    proactor: { readonly handle: number },
    message: { readonly token: Token; readonly value: number },
  ): void {
    checkToken(message.token);
    const index = this.#add(Code.message, token, 0);
    this.#numbers[NUMBERS * index + OTHER] = proactor.handle;
    this.#words[WORDS * index + START] = message.token;
    this.#words[WORDS * index + ARGUMENT] = message.value;
  }

  /** What native code reads: the requests, and their paths and addresses. */
  get memory(): {
    readonly words: Uint32Array<ArrayBuffer>;
    readonly names: Uint8Array<ArrayBuffer>;
  } {
    return { words: this.#words, names: this.#names };
  }

  /** How many bytes of the names are used. */
  get namesLength(): number {
    return this.#namesLength;
  }

  /** The number of the first operation's kind. */
  get firstCode(): number {
    return this.#words[CODE]!;
  }

  /** Takes the first `count` operations out: they are submitted. */
  takeOut(count: number): void {
    if (count < this.length) {
      this.#words.copyWithin(0, WORDS * count, WORDS * this.length);
    }
    this.length -= count;
    if (this.length === 0) this.#namesLength = 0;
  }

  /** Adds an operation with zeroes in all other fields; returns its index. */
  #add(code: number, token: Token, source: number): number {
    checkToken(token);
    const index = this.#length;
    if (index >= this.capacity) {
      throw new RangeError(
        `Cannot add operation ${index + 1}: the batch holds ${this.capacity}`,
      );
    }
    this.#length = index + 1;
    if (index === 0) this.#namesLength = 0;
    const numbers = this.#numbers;
    const number = NUMBERS * index;
    numbers[number + SOURCE] = source;
    numbers[number + OTHER] = 0;
    numbers[number + OFFSET] = NO_POSITION;
    numbers[number + OTHER_OFFSET] = NO_POSITION;
    numbers[number + REAPER] = this.#reaper;
    const words = this.#words;
    const word = WORDS * index;
    words[word + TOKEN] = token;
    words[word + CODE] = code;
    words[word + START] = 0;
    words[word + END] = 0;
    words[word + ARGUMENT] = 0;
    words[word + FLAGS] = 0;
    return index;
  }

  #addRange(
    code: number,
    token: Token,
    source: number,
    start: number,
    end: number,
  ): number {
    checkRange(start, end);
    const index = this.#add(code, token, source);
    this.#words[WORDS * index + START] = start;
    this.#words[WORDS * index + END] = end;
    return index;
  }

  #addNamed(
    code: number,
    token: Token,
    name: Uint8Array,
    source: number,
  ): number {
    const index = this.#add(code, token, source);
    const start = this.#namesLength;
    const end = start + name.byteLength;
    if (end > this.#names.byteLength) {
      const grown = new Uint8Array(2 * end);
      grown.set(this.#names);
      this.#names = grown;
    }
    this.#names.set(name, start);
    this.#namesLength = end;
    this.#words[WORDS * index + START] = start;
    this.#words[WORDS * index + END] = end;
    return index;
  }

  #addPoll(
    code: number,
    token: Token,
    source: Source,
    interest: InterestSet,
  ): void {
    checkInterest(interest);
    const index = this.#add(code, token, source.handle);
    this.#words[WORDS * index + ARGUMENT] = interest;
  }
}

function checkRange(start: number, end: number): void {
  if (start >= 0 && start <= end && end <= LENGTH_MAX) return;
  throw new RangeError(
    `Cannot use bytes "${start}" to "${end}": the range must lie in the ` +
      `bytes that are given to submit`,
  );
}

/**
 * Returns a position for native code, -1 for none.
 *
 * @throws {RangeError} when it is no integer from 0 to 2 ** 53 - 1.
 */
export function position(at: number | undefined): number {
  if (at === undefined) return NO_POSITION;
  if (Number.isSafeInteger(at) && at >= 0) return at;
  throw new RangeError(
    `Cannot use position "${at}": it must be an integer of zero or more`,
  );
}

function checkLength(bytes: number): void {
  if (Number.isInteger(bytes) && bytes >= 1 && bytes <= LENGTH_MAX) return;
  throw new RangeError(
    `Cannot take "${bytes}" bytes: it must be an integer from 1 to ` +
      `${LENGTH_MAX}`,
  );
}
