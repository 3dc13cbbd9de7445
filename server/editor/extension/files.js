/** Graph files and pictures of ours, in and out. */

import { ask, sendFile } from "./ask.js";

/** Open a graph file, or the graph in a picture of ours. False where it is none of ours. */
export async function openOurs(app, file) {
  const workflow = await workflowIn(file);
  if (workflow === null) return false;
  await app.loadGraphData(workflow, true, true, file.name.replace(/\.\w+$/, ""));
  return true;
}

async function workflowIn(file) {
  if (/\.json$/i.test(file.name)) {
    const text = await file.text();
    if (!isOurs(text)) return null;
    // as text, for numbers that JavaScript would round
    return (await sendJson(`{"graph": ${text}}`)).workflow;
  }
  if (!file.type.startsWith("image/")) return null;
  try {
    return (await sendFile("/v1/editor/picture", file)).workflow;
  } catch {
    return null; // a picture of others: the editor knows what to do
  }
}

function isOurs(text) {
  try {
    return "limner" in JSON.parse(text);
  } catch {
    return false;
  }
}

async function sendJson(body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("/v1/editor/workflow", { method: "POST", headers, body });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.faults?.map(({ message }) => message).join("\n") || said.detail);
  return said;
}

/** What the canvas shows, as the server reads it. */
export async function canvas(app) {
  const { output, workflow } = await app.graphToPrompt();
  return { prompt: output, workflow };
}

/** Save what is on the canvas as a graph file. */
export async function saveGraph(app) {
  const { text } = await ask("/v1/editor/graph", await canvas(app));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `${JSON.parse(text).name}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
