/** Graph files and pictures of ours, in and out. */

import { post, postFile } from "/page/api.js";
import { parse, stringify } from "/page/json.js";

/** Open a graph file, or the graph in a picture of ours. False where it is none of ours. */
export async function openOurs(app, file) {
  const exact = await workflowIn(file);
  if (exact === null) return false;
  const workflow = JSON.parse(stringify(exact));
  await app.loadGraphData(workflow, true, true, file.name.replace(/\.\w+$/, ""));
  if (JSON.stringify(workflow) !== stringify(exact)) {
    const detail = "A number above 2^53, such as a seed, was rounded: the editor holds no larger ones.";
    app.extensionManager.toast.add({ severity: "warn", summary: "Limner", detail });
  }
  return true;
}

async function workflowIn(file) {
  if (/\.json$/i.test(file.name)) {
    const graph = graphIn(await file.text());
    return graph === null ? null : (await post("/v1/editor/workflow", { graph })).workflow;
  }
  return file.type.startsWith("image/") ? ((await postFile("/v1/editor/picture", file)).workflow ?? null) : null;
}

function graphIn(text) {
  try {
    const graph = parse(text);
    return "limner" in graph ? graph : null;
  } catch {
    return null;
  }
}

/** What the canvas shows, as the server reads it. */
export async function canvas(app) {
  const { output, workflow } = await app.graphToPrompt();
  return { prompt: output, workflow };
}

/** Save what is on the canvas as a graph file. */
export async function saveGraph(app) {
  const { text } = await post("/v1/editor/graph", await canvas(app));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `${JSON.parse(text).name}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
