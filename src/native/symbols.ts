/**
 * The C ABI as constants, argument for argument like `native/src/ffi/`.
 *
 * Arguments are numbers and `buffer`: pointers and callbacks would need
 * `--allow-ffi` without a path. A result of zero or more is a count, a handle
 * or another number; a negative result is `-errno`. A handle has 52 bits and
 * fits an `f64`, which costs no more to pass than a `u32`; a `u64` would be a
 * `BigInt`.
 *
 * @module
 */

/** The number that `denio_abi_version` must return. */
export const ABI_VERSION = 14;

/** Bytes of an address, in the layout of `ffi/address.rs`. */
export const ADDRESS_BYTES = 116;

/** Words that `denio_poll_wait` writes before its events. */
export const CLOCK_WORDS = 2;

/** Words of an event: its token, its readiness. */
export const EVENT_WORDS = 2;

/** The most events that one wait returns: the bound of `sys/mod.rs`. */
export const EVENTS_MAX = 1024;

/** Numbers that `denio_listener_accept` writes before the handles. */
export const ACCEPT_WORDS = 2;

/** Bytes of an entry for `denio_streams_read`: `StreamRead` in Rust. */
export const READ_BYTES = 16;

/** Bytes of an entry for `denio_streams_write`: `StreamWrite` in Rust. */
export const WRITE_BYTES = 24;

/** Bytes of a request for `denio_proactor_submit`: `Request` in Rust. */
export const REQUEST_BYTES = 64;

/** Bytes of what `denio_proactor_wait` writes: `Completion` in Rust. */
export const COMPLETION_BYTES = 32;

/** Numbers that `denio_proactor_stats` writes. */
export const PROACTOR_STATS = 10;

/** The bit in the count of a datagram that was longer than the buffer. */
export const DATAGRAM_CUT = 1_073_741_824;

/** The symbol that is checked before all others. */
export const ABI_SYMBOL = {
  denio_abi_version: { parameters: [], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** What a Worker calls first, and the call that ends it: see `native()`. */
export const THREAD_SYMBOLS = {
  denio_thread_own: { parameters: [], result: "i32" },
  denio_thread_end: { parameters: [/* owner */ "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/**
 * The functions that a running server calls. Deno compiles a trampoline for
 * each function that it opens, in 0.15 milliseconds on average: all of them
 * would delay a program's start by 6 ms. So the other functions are opened in
 * groups, when the program calls the first of a group; a server needs none of
 * them.
 */
export const SERVING_SYMBOLS = {
  denio_source_close: { parameters: [/* handle */ "f64"], result: "i32" },
  denio_source_take_error: {
    parameters: [
      /* handle */ "f64",
    ],
    result: "i32",
  },
  denio_stream_unacked: {
    parameters: [
      /* stream */ "f64",
    ],
    result: "i32",
  },
  denio_stream_unread: {
    parameters: [
      /* stream */ "f64",
    ],
    result: "i32",
  },
  denio_source_local_address: {
    parameters: [
      /* handle */ "f64",
      /* address */ "buffer",
    ],
    result: "i32",
  },
  denio_name_resolve: {
    parameters: [
      /* name */ "buffer",
      /* length */ "u32",
      /* addresses */ "buffer",
      /* capacity */ "u32",
      /* is_address */ "u32",
    ],
    result: "i32",
  },
  denio_poll_new: { parameters: [/* backend */ "u32"], result: "f64" },
  denio_poll_wait: {
    parameters: [
      /* poll */ "f64",
      /* events */ "buffer",
      /* capacity */ "u32",
      /* timeout_ms */ "i32",
    ],
    result: "i32",
  },
  denio_poll_park: {
    parameters: [/* poll */ "f64", /* timeout_ms */ "i32"],
    result: "i32",
    nonblocking: true,
  },
  denio_poll_await_park: {
    parameters: [
      /* poll */ "f64",
      /* begun */ "i32",
      /* timeout_ms */ "i32",
    ],
    result: "i32",
  },
  denio_parker_new: {
    parameters: [/* waiter */ "f64", /* by_kernel */ "i32", /* out */ "buffer"],
    result: "i32",
  },
  denio_parker_park: {
    parameters: [/* parker */ "f64", /* timeout_ms */ "i32"],
    result: "i32",
  },
  denio_parker_wake: { parameters: [/* parker */ "f64"], result: "i32" },
  denio_registry_register: {
    parameters: [
      /* registry */ "f64",
      /* source */ "f64",
      /* token */ "u32",
      /* interest */ "u32",
      /* mode */ "u32",
    ],
    result: "i32",
  },
  denio_registry_reregister: {
    parameters: [
      /* registry */ "f64",
      /* source */ "f64",
      /* token */ "u32",
      /* interest */ "u32",
      /* mode */ "u32",
    ],
    result: "i32",
  },
  denio_registry_deregister: {
    parameters: [/* registry */ "f64", /* source */ "f64"],
    result: "i32",
  },
  denio_waker_new: {
    parameters: [/* registry */ "f64", /* token */ "u32"],
    result: "f64",
  },
  denio_waker_wake: { parameters: [/* waker */ "f64"], result: "i32" },
  denio_listener_bind: {
    parameters: [
      /* address */ "buffer",
      /* backlog */ "i32",
      /* flags */ "u32",
      /* keepalive_idle */ "u32",
      /* keepalive_interval */ "u32",
      /* keepalive_count */ "u32",
      /* user_timeout_ms */ "u32",
    ],
    result: "f64",
  },
  denio_listener_accept: {
    parameters: [
      /* listener */ "f64",
      /* out */ "buffer",
      /* capacity */ "u32",
    ],
    result: "i32",
  },
  denio_stream_peer_key: {
    parameters: [
      /* stream */ "f64",
    ],
    result: "i32",
  },
  denio_stream_peer_address: {
    parameters: [
      /* stream */ "f64",
      /* address */ "buffer",
    ],
    result: "i32",
  },
  denio_stream_read: {
    parameters: [
      /* stream */ "f64",
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
    ],
    result: "i32",
  },
  denio_stream_write: {
    parameters: [
      /* stream */ "f64",
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
    ],
    result: "i32",
  },
  denio_streams_read: {
    parameters: [
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
      /* room_min */ "u32",
      /* reads */ "buffer",
      /* count */ "u32",
    ],
    result: "i32",
  },
  denio_streams_write: {
    parameters: [
      /* buffer */ "buffer",
      /* length */ "u32",
      /* writes */ "buffer",
      /* count */ "u32",
    ],
    result: "i32",
  },
  denio_stream_write_vectored: {
    parameters: [
      /* stream */ "f64",
      /* first */ "buffer",
      /* first_length */ "u32",
      /* second */ "buffer",
      /* second_length */ "u32",
      /* third */ "buffer",
      /* third_length */ "u32",
      /* fourth */ "buffer",
      /* fourth_length */ "u32",
      /* fifth */ "buffer",
      /* fifth_length */ "u32",
      /* sixth */ "buffer",
      /* sixth_length */ "u32",
      /* seventh */ "buffer",
      /* seventh_length */ "u32",
      /* eighth */ "buffer",
      /* eighth_length */ "u32",
    ],
    result: "i32",
  },
  denio_stream_set_last_words: {
    parameters: [
      /* stream */ "f64",
      /* words */ "u32",
    ],
    result: "i32",
  },
  denio_stream_shutdown: {
    parameters: [
      /* stream */ "f64",
      /* how */ "u32",
    ],
    result: "i32",
  },
  denio_http1_parse: {
    parameters: [
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
      /* scanned */ "u32",
      /* lenient */ "u32",
      /* table */ "buffer",
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of UDP. */
export const UDP_SYMBOLS = {
  denio_udp_bind: {
    parameters: [
      /* address */ "buffer",
      /* flags */ "u32",
    ],
    result: "f64",
  },
  denio_udp_connect: {
    parameters: [
      /* udp */ "f64",
      /* address */ "buffer",
    ],
    result: "i32",
  },
  denio_udp_peer_address: {
    parameters: [
      /* udp */ "f64",
      /* address */ "buffer",
    ],
    result: "i32",
  },
  denio_udp_send: {
    parameters: [
      /* udp */ "f64",
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
    ],
    result: "i32",
  },
  denio_udp_receive: {
    parameters: [
      /* udp */ "f64",
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
    ],
    result: "i32",
  },
  denio_udp_peek: {
    parameters: [
      /* udp */ "f64",
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
    ],
    result: "i32",
  },
  denio_udp_send_to: {
    parameters: [
      /* udp */ "f64",
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
      /* address */ "buffer",
    ],
    result: "i32",
  },
  denio_udp_receive_from: {
    parameters: [
      /* udp */ "f64",
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
      /* address */ "buffer",
    ],
    result: "i32",
  },
  denio_udp_peek_from: {
    parameters: [
      /* udp */ "f64",
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
      /* address */ "buffer",
    ],
    result: "i32",
  },
  denio_udp_set_membership: {
    parameters: [
      /* udp */ "f64",
      /* group */ "buffer",
      /* interface */ "buffer",
      /* join */ "u32",
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of proactors. */
export const PROACTOR_SYMBOLS = {
  denio_proactor_refusal: { parameters: [], result: "i32" },
  denio_proactor_least_kernel: {
    parameters: [/* code */ "u32"],
    result: "i32",
  },
  denio_proactor_new: {
    parameters: [
      /* operations */ "u32",
      /* buffers */ "u32",
      /* buffer_bytes */ "u32",
      /* batching */ "u32",
      /* batching_value */ "f64",
      /* kernel_thread_idle_ms */ "u32",
    ],
    result: "f64",
  },
  denio_proactor_supports: {
    parameters: [/* proactor */ "f64", /* code */ "u32"],
    result: "i32",
  },
  denio_proactor_submit: {
    parameters: [
      /* proactor */ "f64",
      /* requests */ "buffer",
      /* count */ "u32",
      /* buffer */ "buffer",
      /* length */ "u32",
      /* names */ "buffer",
      /* names_length */ "u32",
    ],
    result: "i32",
  },
  denio_proactor_cancel: {
    parameters: [
      /* proactor */ "f64",
      /* which */ "f64",
      /* by_source */ "u32",
    ],
    result: "i32",
  },
  denio_proactor_flush: { parameters: [/* proactor */ "f64"], result: "i32" },
  denio_proactor_wait: {
    parameters: [
      /* proactor */ "f64",
      /* completions */ "buffer",
      /* capacity */ "u32",
      /* buffer */ "buffer",
      /* length */ "u32",
      /* timeout_ms */ "i32",
    ],
    result: "i32",
  },
  denio_proactor_descriptor: {
    parameters: [/* proactor */ "f64"],
    result: "i32",
  },
  denio_proactor_park: { parameters: [/* proactor */ "f64"], result: "i32" },
  denio_proactor_unpark: { parameters: [/* proactor */ "f64"], result: "i32" },
  denio_proactor_stats: {
    parameters: [/* proactor */ "f64", /* out */ "buffer"],
    result: "i32",
  },
  denio_reaper_new: {
    parameters: [/* proactor */ "f64", /* operations */ "u32"],
    result: "f64",
  },
  denio_reaper_wait: {
    parameters: [
      /* reaper */ "f64",
      /* completions */ "buffer",
      /* capacity */ "u32",
      /* buffer */ "buffer",
      /* length */ "u32",
      /* timeout_ms */ "i32",
    ],
    result: "i32",
  },
  denio_reaper_descriptor: { parameters: [/* reaper */ "f64"], result: "i32" },
  denio_reaper_park: { parameters: [/* reaper */ "f64"], result: "i32" },
  denio_reaper_unpark: { parameters: [/* reaper */ "f64"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of a poll that reads ahead. */
export const RING_SYMBOLS = {
  denio_poll_held_bytes: { parameters: [/* poll */ "f64"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of WebSocket. */
export const WEBSOCKET_SYMBOLS = {
  denio_websocket_accept: { parameters: [/* text */ "buffer"], result: "i32" },
  denio_websocket_parse: {
    parameters: [
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
      /* state */ "buffer",
      /* table */ "buffer",
      /* rows */ "u32",
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions that compress and decompress messages of WebSocket. */
export const DEFLATE_SYMBOLS = {
  denio_websocket_inflate: {
    parameters: [
      /* buffer */ "buffer",
      /* start */ "u32",
      /* length */ "u32",
      /* history */ "buffer",
      /* history_length */ "u32",
      /* out */ "buffer",
      /* capacity */ "u32",
      /* flags */ "u32",
    ],
    result: "i32",
  },
  denio_websocket_inflate_aside: { parameters: [], result: "i32" },
  denio_websocket_inflate_resume: {
    parameters: [/* number */ "u32"],
    result: "i32",
  },
  denio_websocket_deflate: {
    parameters: [
      /* buffer */ "buffer",
      /* start */ "u32",
      /* length */ "u32",
      /* history */ "buffer",
      /* history_length */ "u32",
      /* out */ "buffer",
      /* capacity */ "u32",
      /* window_bits */ "u32",
      /* level */ "u32",
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** All other functions. */
export const OTHER_SYMBOLS = {
  denio_batches_by_ring: { parameters: [/* uses */ "u32"], result: "i32" },
  denio_source_count: { parameters: [], result: "i32" },
  denio_path_resolve: {
    parameters: [
      /* path */ "buffer",
      /* length */ "u32",
      /* place */ "buffer",
      /* capacity */ "u32",
    ],
    result: "i32",
  },
  denio_source_try_clone: {
    parameters: [
      /* handle */ "f64",
    ],
    result: "f64",
  },
  denio_source_option: {
    parameters: [
      /* handle */ "f64",
      /* option */ "u32",
    ],
    result: "i32",
  },
  denio_source_set_option: {
    parameters: [
      /* handle */ "f64",
      /* option */ "u32",
      /* value */ "u32",
    ],
    result: "i32",
  },
  denio_source_adopt: {
    parameters: [
      /* fd */ "i32",
      /* kind */ "u32",
    ],
    result: "f64",
  },
  denio_descriptor_describe: {
    parameters: [
      /* fd */ "i32",
      /* address */ "buffer",
    ],
    result: "i32",
  },
  denio_poll_backend: { parameters: [/* poll */ "f64"], result: "i32" },
  denio_poll_backends: { parameters: [], result: "i32" },
  denio_backend_refusal: { parameters: [/* backend */ "u32"], result: "i32" },
  denio_poll_supports: {
    parameters: [/* poll */ "f64", /* interest */ "u32", /* mode */ "u32"],
    result: "i32",
  },
  denio_registry_try_clone: {
    parameters: [/* registry */ "f64"],
    result: "f64",
  },
  denio_unix_listener_bind: {
    parameters: [
      /* path */ "buffer",
      /* length */ "u32",
      /* backlog */ "i32",
    ],
    result: "f64",
  },
  denio_stream_connect: {
    parameters: [
      /* address */ "buffer",
    ],
    result: "f64",
  },
  denio_unix_stream_connect: {
    parameters: [
      /* path */ "buffer",
      /* length */ "u32",
    ],
    result: "f64",
  },
  denio_unix_stream_pair: {
    parameters: [
      /* out */ "buffer",
    ],
    result: "i32",
  },
  denio_pipe_new: {
    parameters: [
      /* out */ "buffer",
    ],
    result: "i32",
  },
  denio_stream_peek: {
    parameters: [
      /* stream */ "f64",
      /* buffer */ "buffer",
      /* offset */ "u32",
      /* length */ "u32",
    ],
    result: "i32",
  },
  denio_stream_read_vectored: {
    parameters: [
      /* stream */ "f64",
      /* first */ "buffer",
      /* first_length */ "u32",
      /* second */ "buffer",
      /* second_length */ "u32",
      /* third */ "buffer",
      /* third_length */ "u32",
      /* fourth */ "buffer",
      /* fourth_length */ "u32",
      /* fifth */ "buffer",
      /* fifth_length */ "u32",
      /* sixth */ "buffer",
      /* sixth_length */ "u32",
      /* seventh */ "buffer",
      /* seventh_length */ "u32",
      /* eighth */ "buffer",
      /* eighth_length */ "u32",
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** Every function of the library. */
export const SYMBOLS = {
  ...ABI_SYMBOL,
  ...THREAD_SYMBOLS,
  ...SERVING_SYMBOLS,
  ...UDP_SYMBOLS,
  ...PROACTOR_SYMBOLS,
  ...RING_SYMBOLS,
  ...WEBSOCKET_SYMBOLS,
  ...DEFLATE_SYMBOLS,
  ...OTHER_SYMBOLS,
} as const satisfies Deno.ForeignLibraryInterface;
