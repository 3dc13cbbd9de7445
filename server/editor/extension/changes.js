/** Changes of a graph that the server proposes, made on the canvas: what else is there stays as it is.
 *
 * They are a part of a prompt: by node, the inputs that change; of a node that is not there yet, all of it.
 */

import { nodeOf } from "./places.js";

const GAP = 60;
const GONE = "What this would change is no longer there.";

const isLink = (value) => Array.isArray(value);

export function inWords(app, changes) {
  const said = Object.entries(changes).map(([id, { class_type, inputs }]) => {
    const node = nodeOf(app, id);
    const values = Object.entries(inputs).filter(([, value]) => !isLink(value)).map(([name, value]) => `${name} = ${value}`).join(", ");
    if (node) return values && `${node.title}: ${values}`;
    return values ? `${class_type} with ${values}` : class_type;
  });
  return said.filter(Boolean).join("; ");
}

/** Make them, as if by hand: they can be undone. Throws, with nothing changed, where one of them cannot be made. */
export async function apply(app, changes) {
  refuseImpossible(app, changes);
  const added = new Map();
  for (const [id, { class_type }] of Object.entries(changes)) {
    if (!nodeOf(app, id)) added.set(id, add(class_type, followerOf(app, changes, id)));
  }
  const find = (id) => added.get(id) ?? nodeOf(app, id);
  for (const [id, { inputs }] of Object.entries(changes)) {
    for (const [name, value] of Object.entries(inputs)) {
      if (isLink(value)) wire(find(value[0]), value[1], find(id), name);
      else set(widgetOf(find(id), name), value);
    }
  }
  app.canvas.setDirty(true, true);
  (app.rootGraph ?? app.graph).updateExecutionOrder(); // older editors take a later one for a change of its own to undo
  const tracker = app.extensionManager.workflow.activeWorkflow?.changeTracker;
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker); // by its newer name, or its older one
}

/** What could be seen to fail only halfway is looked for first. */
function refuseImpossible(app, changes) {
  const near = (id) => nodeOf(app, id) ?? (id in changes ? followerOf(app, changes, id) : null); // in whose graph it is, or will be
  for (const [id, { inputs }] of Object.entries(changes)) {
    for (const [name, value] of Object.entries(inputs)) {
      if (isLink(value)) refuseAcross(near(value[0]), near(id));
      else if (nodeOf(app, id)) widgetOf(nodeOf(app, id), name);
      else if (!near(id)) throw new Error(GONE);
    }
  }
}

function refuseAcross(source, node) {
  if (!node) throw new Error(GONE);
  if (!source) throw new Error(`What ${node.title} needs is no longer there.`);
  if (source.graph !== node.graph) throw new Error(`${node.title} is in a subgraph, and what it needs is not: unpack the subgraph first.`);
}

/** The node that a new one is put before; none where it is gone. */
function followerOf(app, changes, id) {
  const found = Object.entries(changes).find(([, { inputs }]) => Object.values(inputs).some((value) => isLink(value) && value[0] === id));
  return found && nodeOf(app, found[0]);
}

function add(type, follower) {
  const node = LiteGraph.createNode(type);
  follower.graph.add(node);
  node.pos = [follower.pos[0], follower.pos[1] - node.size[1] - GAP];
  return node;
}

function wire(source, output, node, name) {
  source.connect(output, node, node.findInputSlot(name));
}

function widgetOf(node, name) {
  const widget = node.widgets?.find((one) => one.name === name);
  if (!widget) throw new Error(`${node.title} has no ${name} to change.`);
  return widget;
}

function set(widget, value) {
  widget.value = value;
  widget.callback?.(value);
}
