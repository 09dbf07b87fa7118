/**
 * ws, the WebSocket client of Node's programs; see `typescript.ts` for why here.
 *
 * @module
 */

// @ts-types="./ws.d.ts"
export { WebSocket } from "npm:ws@8.23.0";
