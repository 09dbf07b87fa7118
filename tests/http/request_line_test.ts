import {
  head,
  HOST,
  refused,
  type Row,
  served,
  wireTests,
} from "../util/wire.ts";

const ROWS: Row[] = [
  [
    "RFC 9112 section 3",
    "two spaces before the target",
    head("GET  / HTTP/1.1", HOST),
    refused(400),
  ],
  [
    "RFC 9110 section 9.1",
    "a method in lower case",
    head("get / HTTP/1.1", HOST),
    served({ method: "get", url: "http://a/" }),
  ],
];

wireTests(ROWS);
