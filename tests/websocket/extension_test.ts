import { assertEquals, assertThrows } from "@std/assert";
import {
  agreeOnDeflate,
  type CompressionOptions,
  compressionSettings,
} from "../../src/websocket/extension.ts";

const PMD = "permessage-deflate";
const NO_TAKEOVER = `${PMD}; server_no_context_takeover` +
  "; client_no_context_takeover";

/** The header of the answer to an offer. */
function answer(offer: string, options: CompressionOptions = {}) {
  const agreement = agreeOnDeflate(offer, compressionSettings(options)!);
  return typeof agreement === "object" ? agreement.header : agreement;
}

const ACCEPTED: readonly (readonly [string, string])[] = [
  [PMD, ""],
  [`  ${PMD}\t`, ""],
  [`,, ${PMD} ,`, ""],
  // What browsers send.
  [`${PMD}; client_max_window_bits`, ""],
  // RFC 7692 section 7.1.3.
  [
    `${PMD}; client_max_window_bits; server_max_window_bits=10`,
    "; server_max_window_bits=10",
  ],
  [
    `${PMD}; client_max_window_bits; server_max_window_bits=10, ` +
    `${PMD}; client_max_window_bits`,
    "; server_max_window_bits=10",
  ],
  // RFC 7692 section 5.1: a value may be quoted.
  [`${PMD};server_max_window_bits="10"`, "; server_max_window_bits=10"],
  [`${PMD}; server_max_window_bits = "\\10"`, "; server_max_window_bits=10"],
  [`${PMD}; server_max_window_bits=8`, "; server_max_window_bits=8"],
  [`${PMD}; server_max_window_bits=15`, "; server_max_window_bits=15"],
  [`${PMD}; client_max_window_bits=9`, ""],
  [`${PMD}; server_no_context_takeover; client_no_context_takeover`, ""],
  // Other extensions, and offers that are declined, come before one that is
  // not.
  [`x-webkit-deflate-frame; no="thing", ${PMD}`, ""],
  [
    `${PMD}; unknown, ${PMD}; server_max_window_bits=12`,
    "; server_max_window_bits=12",
  ],
  [`PERMESSAGE-DEFLATE, ${PMD}`, ""],
];

const DECLINED: readonly string[] = [
  "permessage-bzip2",
  `${PMD}; unknown`,
  `${PMD}; unknown=1`,
  `${PMD}; toString`,
  `${PMD}; server_no_context_takeover=1`,
  `${PMD}; client_no_context_takeover=true`,
  `${PMD}; server_no_context_takeover; server_no_context_takeover`,
  `${PMD}; client_max_window_bits; client_max_window_bits=10`,
  `${PMD}; server_max_window_bits`,
  `${PMD}; server_max_window_bits=7`,
  `${PMD}; server_max_window_bits=16`,
  `${PMD}; server_max_window_bits=010`,
  `${PMD}; server_max_window_bits=1e1`,
  `${PMD}; client_max_window_bits=7`,
  `${PMD}; Client_Max_Window_Bits`,
];

const MALFORMED: readonly string[] = [
  "",
  " , ",
  ";",
  `${PMD};`,
  `${PMD}; ;`,
  `${PMD}; =10`,
  `${PMD}; server_max_window_bits=`,
  `${PMD}; server_max_window_bits=""`,
  `${PMD}; server_max_window_bits="1 0"`,
  `${PMD}; server_max_window_bits="10`,
  `${PMD}; server_max_window_bits=10"`,
  `${PMD} client_max_window_bits`,
  `${PMD}, @`,
  `${PMD}; a=b=c`,
];

Deno.test("extension accepts an offer, when it is valid", () => {
  for (const [offer, more] of ACCEPTED) {
    assertEquals(answer(offer), NO_TAKEOVER + more, offer);
  }
});

Deno.test("extension declines an offer, when a parameter is not valid", () => {
  for (const offer of DECLINED) assertEquals(answer(offer), undefined, offer);
});

Deno.test("extension finds a header malformed, when it is no list", () => {
  for (const offer of MALFORMED) {
    assertEquals(answer(offer), "malformed", offer);
  }
});

Deno.test("extension takes contexts over, when client and server want it", () => {
  const both = { serverContextTakeover: true, clientContextTakeover: true };
  const table: readonly (readonly [string, CompressionOptions, string])[] = [
    ["", both, "; server_max_window_bits=12"],
    [
      "; client_max_window_bits",
      both,
      "; server_max_window_bits=12; client_max_window_bits=12",
    ],
    ["; client_max_window_bits=11", both, "; server_max_window_bits=12"],
    [
      "; server_no_context_takeover; server_max_window_bits=9",
      both,
      "; server_no_context_takeover; server_max_window_bits=9",
    ],
    [
      "; client_no_context_takeover",
      { ...both, serverWindowBits: 15 },
      "; client_no_context_takeover",
    ],
    [
      "; client_max_window_bits=14",
      { clientContextTakeover: true, clientWindowBits: 13 },
      "; server_no_context_takeover; client_max_window_bits=13",
    ],
  ];
  for (const [offer, options, more] of table) {
    assertEquals(answer(PMD + offer, options), PMD + more);
  }
});

Deno.test("extension knows the client's window, when the answer omits it", () => {
  const settings = compressionSettings({ clientContextTakeover: true })!;
  const bits = (offer: string) => {
    const agreement = agreeOnDeflate(PMD + offer, settings);
    return typeof agreement === "object" && agreement.clientWindowBits;
  };
  assertEquals(bits(""), 15);
  assertEquals(bits("; client_max_window_bits"), 12);
  assertEquals(bits("; client_max_window_bits=9"), 9);
});

Deno.test("compression options throw, when a value is wrong", () => {
  assertEquals(compressionSettings(false), undefined);
  assertEquals(compressionSettings(true), {
    serverContextTakeover: false,
    clientContextTakeover: false,
    serverWindowBits: 15,
    clientWindowBits: 15,
    level: 3,
    thresholdBytes: 1024,
  });
  const wrong = (options: unknown, error: typeof TypeError, text: string) =>
    assertThrows(
      () => compressionSettings(options as CompressionOptions),
      error,
      text,
    );
  wrong(1, TypeError, 'Cannot use compression "1": it must be a boolean or');
  wrong(null, TypeError, "a boolean or an object");
  wrong({ level: 0 }, RangeError, 'level "0": it must be an integer from 1 to');
  wrong(
    { level: "3" },
    TypeError,
    'compression.level "3": it must be a number',
  );
  wrong({ serverWindowBits: 16 }, RangeError, "an integer from 8 to 15");
  wrong({ clientWindowBits: 8.5 }, RangeError, "an integer from 8 to 15");
  wrong({ thresholdBytes: -1 }, RangeError, "an integer from 0 on");
  wrong({ serverContextTakeover: 1 }, TypeError, "it must be a boolean");
});
