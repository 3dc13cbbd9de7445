/** What a JSON file holds: the editor clears its canvas for any of them before it looks. */

import { parse, stringify } from "/page/json.js";

const PARTS = ["graph", "workflow", "prompt"]; // of what a client sends

const isObject = (raw) => typeof raw === "object" && raw !== null && !Array.isArray(raw);
const isOurs = (raw) => "limner" in raw || isObject(raw.nodes);
const isWorkflow = ({ nodes }) => Array.isArray(nodes) && nodes.every((node) => isObject(node) && "type" in node);
const isPrompt = (raw) => Object.values(raw).length > 0 && Object.values(raw).every((node) => isObject(node?.inputs) && "class_type" in node);
const isGraph = (raw) => isObject(raw) && (isOurs(raw) || isWorkflow(raw) || isPrompt(raw) || Array.isArray(raw.templates));

/** Its graph where that is one of ours, else a file for the editor. Throws where there is none. */
export async function readJson(file) {
  const text = await file.text();
  if (/\bNaN\b|\bInfinity\b/.test(text)) return { rest: file }; // newer editors read them, JSON has none
  const graph = graphIn(text, file.name);
  if (isOurs(graph)) return { graph };
  return { rest: new File([stringify(graph)], file.name, { type: "application/json" }) };
}

function graphIn(text, name) {
  let raw;
  try {
    raw = parse(text);
  } catch (error) {
    throw new Error(`${name} is no JSON: ${error.message}`);
  }
  const graph = [raw, ...PARTS.map((part) => raw?.[part])].find(isGraph);
  if (!graph) throw new Error(`There is no graph in ${name}: none of Limner, and no workflow or prompt of ComfyUI.`);
  return graph;
}
