/** Graph files and pictures of ours, in and out. */

import { post, postFile } from "/page/api.js";
import { stringify } from "/page/json.js";
import { readJson } from "./json_files.js";
import { called, warn } from "./notices.js";

const READ = ["image/png", "image/jpeg", "image/webp"];

/** Open a graph file, or the graph in a picture of ours; of what is not ours, the file that the editor should open. */
export async function openOurs(app, file) {
  const { exact, left_out: unknown, rest } = await workflowIn(app, file);
  if (!exact) return rest;
  const workflow = JSON.parse(stringify(exact));
  await app.loadGraphData(workflow, true, true, file.name.replace(/\.\w+$/, ""));
  if (JSON.stringify(workflow) !== stringify(exact)) {
    const detail = "A number above 2^53, such as a seed, was rounded: the editor holds no larger ones.";
    app.extensionManager.toast.add({ severity: "warn", summary: "Limner", detail });
  }
  if (unknown.length) warn(app, ["The file has settings that their nodes do not have. They are left out:", ...unknown]);
  return null;
}

/** As the server gives it, with numbers of any size, where it is one of ours; else the file that the editor should open. */
async function workflowIn(app, file) {
  if (file.type === "application/json" || /\.json$/i.test(file.name)) {
    const { graph, rest } = await readJson(file);
    if (!graph) return { rest };
    const { workflow, left_out } = await post("/v1/editor/workflow", { graph });
    return { exact: workflow, left_out };
  }
  if (!READ.includes(file.type)) return { rest: file };
  const { workflow, left_out, is_comfyui, fault } = await postFile("/v1/editor/picture", file);
  if (fault) warn(app, [`${file.name}: ${fault}. It is taken as any other picture.`]);
  return { exact: workflow, left_out, rest: is_comfyui ? file : plain(file) };
}

/** A picture of a type in which editors look for no graph: they refuse one whose texts they cannot read. */
const plain = (file) => new File([file], file.name, { type: "image/x-plain" });

/** What the canvas shows, as the server reads it. */
export async function canvas(app) {
  const { output, workflow } = await app.graphToPrompt();
  return { prompt: output, workflow };
}

/** Save what is on the canvas as a graph file, and say what is wrong with it. */
export async function saveGraph(app) {
  const { text, faults } = await post("/v1/editor/graph", await canvas(app));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `${JSON.parse(text).name}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  if (faults.length) warn(app, ["The file is saved. As it is, it cannot run here:", ...faults.map((one) => inWords(app, one))]);
}

function inWords(app, { node, message, hint }) {
  return `${node ? `${called(app, node)}: ` : ""}${message}${hint ? ` (${hint})` : ""}`;
}
