/**
 * The interface of the system below a reactor, and a system in memory for
 * tests: pass it to `new Reactor({ system })`.
 *
 * @module
 */

export type {
  AcceptedBatch,
  ListenerSocket,
  ReactorPoll,
  StreamSocket,
  System,
} from "./system/system.ts";
export type { ReadBatch, WriteBatch } from "./net/batches.ts";
export {
  MEMORY_ADDRESS,
  MemorySystem,
  type MemorySystemOptions,
} from "./system/memory.ts";
export type {
  MemoryPoll,
  MemoryTime,
  MemoryWait,
} from "./system/memory_poll.ts";
export type {
  FarEnd,
  MemoryCall,
  MemoryListener,
  MemoryNetwork,
  MemoryPolicy,
  MemoryRegistration,
  MemorySource,
  MemoryStream,
  MemoryWatch,
} from "./system/memory_sockets.ts";
