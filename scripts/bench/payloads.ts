/**
 * The requests of scenarios, and the right answers.
 *
 * @module
 */

/** The agent that the browser-like request names. */
const AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 " +
  "(KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
const LANGUAGE = "en-GB,en;q=0.9,de;q=0.8";

/** The path of the browser-like request. */
export const APP_PATH = "/app?user=42&sort=name";

/**
 * What Chrome 131 sends beside `Host` when a page's script fetches: with the
 * request line about 700 bytes.
 */
export const BROWSER_FIELDS: readonly string[] = [
  "Connection: keep-alive",
  'sec-ch-ua: "Google Chrome";v="131", "Chromium";v="131", ' +
  '"Not_A Brand";v="24"',
  "sec-ch-ua-mobile: ?0",
  'sec-ch-ua-platform: "Linux"',
  `User-Agent: ${AGENT}`,
  "Accept: application/json, text/plain, */*",
  "Sec-Fetch-Site: same-origin",
  "Sec-Fetch-Mode: cors",
  "Sec-Fetch-Dest: empty",
  "Referer: https://shop.example.org/account/orders?page=2",
  "Accept-Encoding: gzip, deflate, br, zstd",
  `Accept-Language: ${LANGUAGE}`,
  "Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; " +
  "consent=necessary%2Cstatistics; _ga=GA1.1.1180471290.1732187045",
];

/** Its answer. */
export const APP_ANSWER: string = JSON.stringify({
  path: "/app",
  user: "42",
  sort: "name",
  language: LANGUAGE,
  agent: AGENT,
});

/** So many elements that the text is 1 KB long. */
const ITEMS = 26;

/** The JSON of a post: 1 KB. */
export const JSON_BODY: string = JSON.stringify({
  items: Array.from({ length: ITEMS }, (_, id) => ({
    id,
    name: `item ${id}`,
    price: id + 0.5,
  })),
});

/** Its answer: the number of elements, and the sum of their ids. */
export const JSON_ANSWER: string = JSON.stringify({
  count: ITEMS,
  total: ITEMS * (ITEMS - 1) / 2,
});

/** The answer to `GET /`. */
export const HELLO = "Hello, World!";
/** The bytes of an upload. */
export const UPLOAD_BYTES: number = 64 * 1024;
/** The bytes of `GET /big`. */
export const BIG_BYTES: number = 1024 * 1024;
/** Its bytes repeat after so many: a prime, so that a lost piece is seen. */
export const BIG_PERIOD = 251;
/** The body of a login, and its answer. */
export const LOGIN = {
  body: "correct horse battery staple",
  answer: "Welcome",
};
