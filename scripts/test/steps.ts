/**
 * The steps of `deno task test`, in their order: quick ones that often fail
 * come first.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };

/** Packages are those of the lock, which `deno task lock` writes. */
const LOCK = "--lock=deno.lock --frozen";
const CRATE = "--manifest-path native/Cargo.toml";

/** A step. */
export interface Step {
  /** Its name on the command line and in the output. */
  readonly name: string;
  /** The command, from the project's top; `deno` is the running one. */
  readonly command: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * The part of cargo that must be installed, which a distribution may lack, the
   * backend that the system must allow, or Python.
   */
  readonly needs?: "fmt" | "clippy" | "io_uring" | "python";
  /** Whether it is a test runner, whose tests are counted. */
  readonly counts?: "deno" | "cargo";
}

/** Rust's suites that ask the environment for their backend. */
const CARGO_SUITES =
  "mode poll registry waker tcp_listener tcp_stream unix udp pipe vectored"
    .split(" ");

/**
 * Tests of code above a poll, which name no backend. The contract's tests are
 * not here: they run on each backend every time.
 */
const DENO_SUITES = [
  "tests/reactor/connection_test.ts",
  "tests/reactor/reactor_test.ts",
  "tests/server/requests_test.ts",
];

/** The suites on a backend that is not this system's best. */
function onBackend(counts: "deno" | "cargo", command: string): Step[] {
  const backends = ["io_uring", "poll", "select"];
  return (Deno.build.os === "linux" ? backends : []).map((backend) => ({
    name: `${counts}-test-${backend}`,
    command,
    env: { DENIO_BACKEND: backend },
    ...backend === "io_uring" && { needs: backend },
    counts,
  }));
}

/** The packages that have models for loom. */
const MODELS = "-p denio -p denio-poll -p denio-proactor";

/** Every step. */
export const STEPS: readonly Step[] = [
  { name: "build", command: "deno run -A scripts/build.ts --if-stale" },
  { name: "fmt", command: "deno fmt --check" },
  { name: "lint", command: "deno lint" },
  { name: "types", command: `deno check ${LOCK}` },
  {
    name: "doc-lint",
    command: `deno doc --lint ${Object.values(config.exports).join(" ")}`,
  },
  { name: "rules", command: `deno run -A ${LOCK} scripts/check.ts` },
  {
    name: "rustfmt",
    command: `cargo fmt --all ${CRATE} --check`,
    needs: "fmt",
  },
  {
    name: "clippy",
    command: `cargo clippy ${CRATE} --locked --all-targets -- -D warnings`,
    needs: "clippy",
  },
  {
    name: "cargo-test",
    command: `cargo test ${CRATE} --locked`,
    counts: "cargo",
  },
  ...onBackend(
    "cargo",
    `cargo test ${CRATE} --locked --test ${CARGO_SUITES.join(" --test ")}`,
  ),
  {
    // In a folder of its own, or every other step would build everything again.
    name: "loom",
    command: `cargo test ${CRATE} --locked ${MODELS} --lib model::`,
    env: { RUSTFLAGS: "--cfg loom", CARGO_TARGET_DIR: "native/target/loom" },
    counts: "cargo",
  },
  {
    name: "doc-test",
    command: `deno test -A ${LOCK} --doc src mod.ts README.md`,
    counts: "deno",
  },
  { name: "deno-test", command: `deno test -A ${LOCK} tests`, counts: "deno" },
  ...onBackend("deno", `deno test -A ${LOCK} ${DENO_SUITES.join(" ")}`),
  {
    name: "autobahn",
    command: "deno run -A scripts/autobahn.ts",
    needs: "python",
  },
];
