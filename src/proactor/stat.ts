/**
 * What the operation `stat` brings, in the form of Deno's `stat`: `statx(2)`.
 *
 * @module
 */

import { dateOf } from "../base/own.ts";

/** `S_IFMT` of `inode(7)`, and the types under it. */
const TYPE_MASK = 0o170000;
const FIFO = 0o010000;
const CHARACTER = 0o020000;
const DIRECTORY = 0o040000;
const BLOCK = 0o060000;
const REGULAR = 0o100000;
const LINK = 0o120000;
const SOCKET = 0o140000;
/** `STATX_BTIME`: the file system knows when the file was made. */
const HAS_BIRTH = 0x800;

/** Places in `struct statx`, `statx(2)`. */
const Place = {
  MASK: 0,
  BLOCK_SIZE: 4,
  LINKS: 16,
  UID: 20,
  GID: 24,
  MODE: 28,
  INODE: 32,
  SIZE: 40,
  BLOCKS: 48,
  ACCESSED: 64,
  BORN: 80,
  CHANGED: 96,
  MODIFIED: 112,
  REAL_DEVICE: 128,
  DEVICE: 136,
} as const;

/**
 * Decodes the bytes of a completion of `stat`, which begin at `start`. `ctime`
 * has the fraction of its second, which `Deno.stat` leaves out.
 */
export function decodeStat(bytes: Uint8Array, start: number): Deno.FileInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start);
  const word = (at: number) => view.getUint32(at, IS_LITTLE);
  const long = (at: number) => Number(view.getBigUint64(at, IS_LITTLE));
  const mode = view.getUint16(Place.MODE, IS_LITTLE);
  const type = mode & TYPE_MASK;
  const isBorn = (word(Place.MASK) & HAS_BIRTH) !== 0;
  return {
    isFile: type === REGULAR,
    isDirectory: type === DIRECTORY,
    isSymlink: type === LINK,
    size: long(Place.SIZE),
    mtime: dateAt(view, Place.MODIFIED),
    atime: dateAt(view, Place.ACCESSED),
    birthtime: isBorn ? dateAt(view, Place.BORN) : null,
    ctime: dateAt(view, Place.CHANGED),
    dev: device(word(Place.DEVICE), word(Place.DEVICE + 4)),
    ino: long(Place.INODE),
    mode,
    nlink: word(Place.LINKS),
    uid: word(Place.UID),
    gid: word(Place.GID),
    rdev: device(word(Place.REAL_DEVICE), word(Place.REAL_DEVICE + 4)),
    blksize: word(Place.BLOCK_SIZE),
    blocks: long(Place.BLOCKS),
    isBlockDevice: type === BLOCK,
    isCharDevice: type === CHARACTER,
    isFifo: type === FIFO,
    isSocket: type === SOCKET,
  };
}

const IS_LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function dateAt(view: DataView, at: number): Date {
  const seconds = Number(view.getBigInt64(at, IS_LITTLE));
  const nanoseconds = view.getUint32(at + 8, IS_LITTLE);
  return dateOf(seconds * 1_000 + Math.floor(nanoseconds / 1e6));
}

/** Returns one number for a device: `makedev(3)`. */
function device(major: number, minor: number): number {
  const low = (minor & 0xff) + ((major & 0xfff) << 8);
  return low + (minor & ~0xff) * 2 ** 12 + (major & ~0xfff) * 2 ** 32;
}
