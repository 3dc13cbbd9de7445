/** Asking the server. */

import { parse, stringify } from "./json.js";

/** Why the server refused, or could not be asked (status 0). */
export class Problem extends Error {
  constructor(status, detail, hint, faults = []) {
    super(detail);
    this.status = status;
    this.hint = hint;
    this.faults = faults;
  }
}

let logIn = async () => {};

/** What to do where a token is wanted; then what was asked is asked again. */
export function onUnauthorized(work) {
  logIn = work;
}

async function send(method, path, content, headers) {
  let answer, text;
  try {
    answer = await fetch(path, { method, body: content, headers: { Accept: "application/json", ...headers } });
    text = await answer.text();
  } catch {
    throw new Problem(0, "The server cannot be reached.");
  }
  if (answer.ok) return text ? parse(text) : null;
  let said = {};
  try {
    said = parse(text);
  } catch {
    // a server in front of ours answered
  }
  throw new Problem(answer.status, said.detail ?? `The server said ${answer.status}.`, said.hint, said.faults);
}

async function ask(method, path, content, headers) {
  try {
    return await send(method, path, content, headers);
  } catch (error) {
    if (error.status !== 401 || path === "/v1/session") throw error;
    await logIn();
    return send(method, path, content, headers);
  }
}

export const get = (path) => ask("GET", path);

export const post = (path, body = {}, headers = {}) =>
  ask("POST", path, stringify(body), { "Content-Type": "application/json", ...headers });

/** Send a file as it is. */
export const postFile = (path, file) => ask("POST", path, file, { "Content-Type": "application/octet-stream" });

/** A key that makes a request one that may be sent twice. */
export function freshKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
