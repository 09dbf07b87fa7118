/**
 * What the operation `stat` brings: `statx(2)`.
 *
 * @module
 */

/** Where the fields lie, on every machine: `struct statx`. */
const NLINK = 16;
const UID = 20;
const GID = 24;
const MODE = 28;
const INODE = 32;
const SIZE = 40;
const CHANGED = 96;
const MODIFIED = 112;
const ACCESSED = 64;
const BORN = 80;

/** Bits of the mode that tell the sort of the file: `inode(7)`. */
const SORT = 0o170000;
const DIRECTORY = 0o040000;
const REGULAR = 0o100000;
const LINK = 0o120000;

/** What the system knows of a file. */
export interface FileStat {
  /** Whether it is a regular file. */
  readonly isFile: boolean;
  /** Whether it is a directory. */
  readonly isDirectory: boolean;
  /** Whether it is a symbolic link. */
  readonly isSymlink: boolean;
  /** Its size in bytes. */
  readonly size: number;
  /** Its sort and its permissions: `inode(7)`. */
  readonly mode: number;
  /** Its number in its file system. */
  readonly inode: number;
  /** How many names it has. */
  readonly links: number;
  /** The number of its user. */
  readonly uid: number;
  /** The number of its group. */
  readonly gid: number;
  /** When its bytes last changed. */
  readonly modified: Date;
  /** When its bytes were last read, roughly. */
  readonly accessed: Date;
  /** When its bytes or its properties last changed. */
  readonly changed: Date;
  /** When it was made; 1970 where the file system does not know. */
  readonly born: Date;
}

/** Decodes the bytes of a completion of `stat`, which begin at `start`. */
export function decodeStat(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
): FileStat {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start);
  const little = IS_LITTLE;
  const mode = view.getUint16(MODE, little);
  const time = (place: number) =>
    new Date(
      Number(view.getBigInt64(place, little)) * 1e3 +
        view.getUint32(place + 8, little) / 1e6,
    );
  return {
    isFile: (mode & SORT) === REGULAR,
    isDirectory: (mode & SORT) === DIRECTORY,
    isSymlink: (mode & SORT) === LINK,
    size: Number(view.getBigUint64(SIZE, little)),
    mode,
    inode: Number(view.getBigUint64(INODE, little)),
    links: view.getUint32(NLINK, little),
    uid: view.getUint32(UID, little),
    gid: view.getUint32(GID, little),
    modified: time(MODIFIED),
    accessed: time(ACCESSED),
    changed: time(CHANGED),
    born: time(BORN),
  };
}

/** Whether this machine puts the low byte of a number first. */
const IS_LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
