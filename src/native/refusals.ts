/**
 * Why a process cannot use io_uring.
 *
 * @module
 */

/**
 * Returns the reason as the end of a sentence, or `undefined` when there is
 * none.
 *
 * @param number A number of `Refusal` in `native/ring/src/support.rs`, or 0.
 * @param least The oldest kernel that would do, as `Linux 6.1`.
 */
export function refusalText(number: number, least: string): string | undefined {
  return [
    undefined,
    "only Linux has it",
    `the kernel is older than ${least}, or was built without it`,
    "the setting kernel.io_uring_disabled forbids it",
    "a filter of system calls forbids it, as containers have by default",
    "the process is out of descriptors, or of memory that it may lock",
  ][number];
}
