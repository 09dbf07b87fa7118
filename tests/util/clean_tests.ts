/**
 * Tests that leave nothing open.
 *
 * @module
 */

import { AssertionError } from "@std/assert";
import { adopt, DescriptorKind } from "../../src/net/descriptor.ts";
import { native, nativeOthers } from "../../src/native/library.ts";
import { Parker } from "../../src/poll/parker.ts";
import { Poll } from "../../src/poll/poll.ts";
import { descriptors } from "./descriptors.ts";
import { eventually } from "./waiting.ts";

/** What the process holds open. */
interface Open {
  /** Handles of the native library. */
  readonly handles: number;
  /** Sockets, pipes and event descriptors; 0 where there is no /proc. */
  readonly descriptors: number;
}

/**
 * Registers a test that fails when more is open after it than before: handles
 * of the native library, or descriptors where /proc shows them.
 */
export function cleanTest(
  name: string,
  run: () => void | Promise<void>,
  options: { ignore?: boolean } = {},
): void {
  Deno.test({
    name,
    ...options,
    async fn() {
      startAttendant();
      const before = whatIsOpen();
      await run();
      await expectNoMoreThan(before);
    },
  });
}

/**
 * The library's thread that waits for parked polls is the process's, and what it
 * waits by stays open. So does the ring of this thread, once it is open.
 */
function startAttendant(): void {
  if (isAttended) return;
  isAttended = true;
  nativeOthers().denio_batches_by_ring(1);
  using poll = new Poll();
  using parker = new Parker(poll);
  const socket = adopt(parker.fd, DescriptorKind.UNIX_STREAM);
  native().denio_source_close(socket);
}

let isAttended = false;

/** Returns how many handles of the native library are open. */
export function handleCount(): number {
  return nativeOthers().denio_source_count();
}

async function expectNoMoreThan(before: Open): Promise<void> {
  let after = whatIsOpen();
  const isClosed = () => {
    after = whatIsOpen();
    return after.handles <= before.handles &&
      after.descriptors <= before.descriptors;
  };
  try {
    await eventually("all to be closed", isClosed);
  } catch {
    throw new AssertionError(
      `Left open: ${after.handles - before.handles} handles, ` +
        `${after.descriptors - before.descriptors} descriptors`,
    );
  }
}

function whatIsOpen(): Open {
  return { handles: handleCount(), descriptors: descriptors().size };
}
