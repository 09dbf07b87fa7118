/**
 * The state of a connection, a bit each, and the sets of states that one test
 * of the bits answers.
 *
 * @module
 */

/** The protocol has stopped reading. */
export const PAUSED = 1;
/** The system may have more to read. */
export const READABLE = 1 << 1;
/** The peer sends no more: read on to its end. */
export const READ_CLOSED = 1 << 2;
/** The peer's end was read. */
export const ENDED = 1 << 3;
/** Reading stopped, since unsent bytes have reached the high-water mark. */
export const CONGESTED = 1 << 4;
/** The poll tells of room to write. */
export const WANTS_WRITABLE = 1 << 5;
/** Our half is shut down as soon as all is sent. */
export const WRITE_ENDING = 1 << 6;
/** Our half is shut down. */
export const WRITE_ENDED = 1 << 7;
/** The connection closes as soon as all is sent. */
export const CLOSING = 1 << 8;
/** What the peer still sends is thrown away. */
export const LINGERING = 1 << 9;
/** The connection is closed. */
export const CLOSED = 1 << 10;
/** The connection is in the reactor's ready queue. */
export const QUEUED = 1 << 11;
/** The connect is not done yet. */
export const CONNECTING = 1 << 12;
/** The connection does not keep the process alive. */
export const UNREFED = 1 << 13;
/** The protocol is being told of an error. */
export const FAILING = 1 << 14;
/** Bytes came since the sweep's last look. */
export const HEARD = 1 << 15;
/** Bytes went since the sweep's last look. */
export const SPOKEN = 1 << 16;
/** Reading went on after a pause since the sweep's last look. */
export const RESUMED = 1 << 17;
/** The protocol was told of the peer's end before that was read. */
export const FORETOLD = 1 << 18;
/** Bytes are kept that were read and that the protocol was not told of. */
export const UNREAD = 1 << 19;
/** Nothing can be sent any more; what has come is read before it fails. */
export const BROKEN = 1 << 20;
/** Bytes were sent, of which the peer's side may lack some. */
export const HAS_SENT = 1 << 21;
/** An urgent byte is there: a read ends at it although more waits. */
export const MARKED = 1 << 22;
/** The poll cannot tell of urgent bytes: any read may have ended at one. */
export const UNMARKED = 1 << 23;

/** Both halves are over. */
export const BOTH_ENDED = ENDED | WRITE_ENDED;
/** States in which a short read does not show that no more waits. */
export const READS_ON = READ_CLOSED | MARKED | UNMARKED;
/** States in which nothing is read: stopped, or over. */
export const STOPPED = PAUSED | ENDED | CLOSED;
/** States in which nothing is read, since the peer may not read either. */
export const UNREADABLE = STOPPED | CONGESTED;
/** States in which nothing would be read, whatever came. */
export const DEAF = PAUSED | ENDED | CONGESTED | CONNECTING;
/** States that decide whether the protocol is told of an end before its read. */
export const END_FLAGS = READ_CLOSED | ENDED | FORETOLD | QUEUED | CLOSED;
/** States in which a connection must be read alone, outside the batch. */
export const READS_ALONE = UNREADABLE | READS_ON | CLOSING | CONNECTING |
  QUEUED | UNREAD;
/** States in which bytes of a batch may not be the protocol's to act on. */
export const INTERRUPTED = STOPPED | CLOSING | UNREAD;
/** States in which nothing can be written any more. */
export const UNWRITABLE = WRITE_ENDING | WRITE_ENDED | CLOSING | CLOSED |
  BROKEN;
