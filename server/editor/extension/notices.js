/** Why a graph was refused or failed, in the server's words: the editor's own are general. */

import { nodeOf } from "./places.js";

const LIFE_MS = 20_000;
const MOST = 6;

const isPrompt = (path, asked) => path === "/prompt" && asked?.method === "POST";

/** A node as it is called on the canvas. */
export const called = (app, id) => nodeOf(app, id)?.title ?? id;

/** In the place of an answer: of what is thrown, editors show where, and take our script for its cause. */
const unreachable = () => {
  const error = { type: "unreachable", message: "The server cannot be reached.", details: "Run it again when the server is there.", extra_info: {} };
  return Response.json({ error, node_errors: {} }, { status: 503 });
};

/** Say it as a toast, beside what the editor shows. */
export function sayFaults(app, api) {
  const say = (lines) => toast(app, "error", lines);
  const { fetchApi } = api;
  api.fetchApi = async function (path, asked, ...rest) {
    if (!isPrompt(path, asked)) return fetchApi.call(this, path, asked, ...rest);
    const answer = await fetchApi.call(this, path, asked, ...rest).catch(unreachable);
    if (!answer.ok) {
      answer.clone().json().then((told) => say(refused(app, told))).catch(() => {}); // no answer of ours
    }
    return answer;
  };
  api.addEventListener("execution_error", ({ detail }) => say(failed(app, detail)));
}

/** Say it as a warning: what was wanted is done. */
export const warn = (app, lines) => toast(app, "warn", lines);

function toast(app, severity, lines) {
  const more = lines.length > MOST ? [`and ${lines.length - MOST} more`] : [];
  const detail = [...lines.slice(0, MOST), ...more].join("\n");
  app.extensionManager.toast.add({ severity, summary: "Limner", detail, life: LIFE_MS });
}

function refused(app, { error: { message, details }, node_errors: nodes }) {
  if (!Object.keys(nodes).length) return [message, details].filter(Boolean);
  return details.split("\n").map((line) => line.replace(/^#([\d:]+): /, (_, id) => `${called(app, id)}: `));
}

/** The message begins with the id of the node, which nobody sees on the canvas. */
function failed(app, { node_id: id, exception_message: message }) {
  const lines = message.split("\n");
  return id === null ? lines : [`${called(app, id)}: ${lines[0].replace(/^\S+ \(\w+\) failed: /, "")}`, ...lines.slice(1)];
}
