/**
 * The states of a connection, one bit each, and sets of states that code tests
 * at once.
 *
 * @module
 */

/** The protocol has stopped reading. */
export const PAUSED = 1;
/** The system may have more to read. */
export const READABLE = 1 << 1;
/** The system has announced the peer's end: read on up to it. */
export const READ_CLOSED = 1 << 2;
/** The peer's end was read. */
export const ENDED = 1 << 3;
/** Unsent bytes have reached the high-water mark: reading has stopped. */
export const CONGESTED = 1 << 4;
/** The poll reports when there is room to write. */
export const WANTS_WRITABLE = 1 << 5;
/** Our half shuts down as soon as all is sent. */
export const WRITE_ENDING = 1 << 6;
/** Our half is shut down. */
export const WRITE_ENDED = 1 << 7;
/** The connection closes as soon as all is sent. */
export const CLOSING = 1 << 8;
/** The connection throws away what it reads. */
export const LINGERING = 1 << 9;
/** The connection is closed. */
export const CLOSED = 1 << 10;
/** The connection is in the reactor's ready queue. */
export const QUEUED = 1 << 11;
/** The connect is not done yet. */
export const CONNECTING = 1 << 12;
/** The connection does not keep the process alive. */
export const UNREFED = 1 << 13;
/** The protocol's `error` runs. */
export const FAILING = 1 << 14;
/** Bytes were read since the sweep's last look. */
export const HEARD = 1 << 15;
/** Bytes were sent since the sweep's last look. */
export const SPOKEN = 1 << 16;
/** Reading went on after a pause since the sweep's last look. */
export const RESUMED = 1 << 17;
/** The protocol's `ending` was called: the peer's end is not read yet. */
export const ENDING_NOTIFIED = 1 << 18;
/** The reactor keeps bytes that were read and that the protocol lacks. */
export const UNREAD = 1 << 19;
/** Nothing can be sent any more; the connection fails when all is read. */
export const BROKEN = 1 << 20;
/** Bytes were sent, and some may not have reached the peer. */
export const HAS_SENT = 1 << 21;
/** An urgent byte is there: a read stops at it although more bytes wait. */
export const MARKED = 1 << 22;
/** The poll cannot report urgent bytes: any read may have stopped at one. */
export const UNMARKED = 1 << 23;

/** The last read has filled its room, or gave some KiB: more may follow soon. */
export const BULK = 1 << 24;

/** Bytes may wait: here, or in the system. */
export const WAITING = UNREAD | READABLE;
/** Both halves are over. */
export const BOTH_ENDED = ENDED | WRITE_ENDED;
/** States in which more bytes may wait although a read was short. */
export const READS_ON = READ_CLOSED | MARKED | UNMARKED;
/**
 * States in which nothing is read: the protocol has stopped, or all is over.
 */
export const STOPPED = PAUSED | ENDED | CLOSED;
/** States in which nothing is read, also since the peer does not read. */
export const UNREADABLE = STOPPED | CONGESTED;
/** States in which a connection reads nothing, even when the peer sends. */
export const DEAF = PAUSED | ENDED | CONGESTED | CONNECTING;
/** States that decide whether `ending` is called. */
export const END_FLAGS = READ_CLOSED | ENDED | ENDING_NOTIFIED | QUEUED |
  CLOSED;
/** States in which a connection must be read alone, outside the batch. */
export const READS_ALONE = UNREADABLE | READS_ON | CLOSING | CONNECTING |
  QUEUED | UNREAD | BULK;
/** States in which the protocol may not get the bytes of a batch. */
export const INTERRUPTED = STOPPED | CLOSING | UNREAD;
/** States in which nothing can be written any more. */
export const UNWRITABLE = WRITE_ENDING | WRITE_ENDED | CLOSING | CLOSED |
  BROKEN;
