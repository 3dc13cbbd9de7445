/** What a JSON file holds: the editor clears its canvas for any of them before it looks. */

import { parse, stringify } from "/page/json.js";

const PARTS = ["graph", "workflow", "prompt"]; // of what a client sends
const TEXT_OR_ODD = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b/g; // a string, or a number that JSON does not have

const isObject = (raw) => typeof raw === "object" && raw !== null && !Array.isArray(raw);
const isOurs = (raw) => "limner" in raw || isObject(raw.nodes);
const isWorkflow = ({ nodes }) => Array.isArray(nodes) && nodes.every((node) => isObject(node) && "type" in node);
const isPrompt = (raw) => Object.values(raw).length > 0 && Object.values(raw).every((node) => isObject(node?.inputs) && "class_type" in node);
const isGraph = (raw) => isObject(raw) && (isOurs(raw) || isWorkflow(raw) || isPrompt(raw) || Array.isArray(raw.templates));

/** Its graph where that is one of ours, else a file for the editor. Throws where there is none. */
export async function readJson(file) {
  const text = await file.text();
  let raw;
  try {
    raw = parse(text);
  } catch (error) {
    if (isForEditor(text)) return { rest: file };
    throw new Error(`${file.name} is no JSON: ${error.message}`);
  }
  const graph = [raw, ...PARTS.map((part) => raw?.[part])].find(isGraph);
  if (!graph) throw new Error(`There is no graph in ${file.name}: none of Limner, and no workflow or prompt of ComfyUI.`);
  if (isOurs(graph)) return { graph };
  return { rest: new File([stringify(graph)], file.name, { type: "application/json" }) };
}

/** Whether it is JSON and a graph of ComfyUI's but for numbers that are none: newer editors read them. */
function isForEditor(text) {
  try {
    const raw = parse(text.replace(TEXT_OR_ODD, (part) => (part.startsWith('"') ? part : "null")));
    return isGraph(raw) && !isOurs(raw);
  } catch {
    return false;
  }
}
