/** Where a node is: on the canvas, or in a subgraph. */

const SETTLED = 10; // frames, after which an editor no longer moves what it opened

/** A text of the server's with ids as the editor writes them: "12:3" for "12-x3a-3". Its own have no other letters. */
export const ownIds = (text) => text.replace(/(?<=\d)-x3a-(?=\d)/g, ":");

/** A node by its id in a prompt, "12:3" where it is in a subgraph; null where there is none. */
export function nodeOf(app, id) {
  let graph = app.rootGraph ?? app.graph;
  let node = null;
  for (const part of id.split(":")) {
    node = graph?.getNodeById(Number(part)) ?? null;
    graph = node?.subgraph;
  }
  return node;
}

/** Have it in the middle of the canvas, selected; in its subgraph, which is opened. */
export async function leadTo(app, node) {
  const { canvas } = app;
  if (canvas.graph !== node.graph) {
    canvas.setGraph(node.graph);
    for (let frame = 0; frame < SETTLED; frame += 1) await new Promise(requestAnimationFrame);
    if (canvas.graph !== node.graph) return; // somebody went on
  }
  canvas.centerOnNode(node);
  canvas.selectNode(node);
}
