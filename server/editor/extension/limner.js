/** What Limner adds to the editor: its files and pictures, the colours of its wires, and a panel. */

import { app } from "/scripts/app.js";
import { ask } from "./ask.js";
import { openOurs, saveGraph } from "./files.js";
import { Panel } from "./panel.js";
import { countAllNodes } from "./total.js";

const FIRST = "/templates/text_to_image.json";
const paintings = ask("/v1/editor/colors").then(({ colors }) => colors);

/** Sockets and wires of each type in its colour. */
async function paint() {
  for (const [type, color] of Object.entries(await paintings)) {
    document.documentElement.style.setProperty(`--color-datatype-${type}`, color);
    app.canvas.default_connection_color_byType[type] = color;
    app.canvas.constructor.link_type_colors[type] = color;
  }
  app.canvas.setDirty(true, true);
}

function complain(error) {
  app.extensionManager.toast.add({ severity: "error", summary: "Limner", detail: error.message, life: 10_000 });
}

/** A file of ours opens its graph; whatever else is the editor's own business. */
function openFilesOfOurs() {
  const others = app.handleFile;
  app.handleFile = async function (file, ...rest) {
    try {
      if (await openOurs(app, file)) return undefined;
    } catch (error) {
      return complain(error);
    }
    return others.call(this, file, ...rest);
  };
}

/** The editor begins with a graph of ours rather than with its own, whose models are not here. */
async function beginWithOurs() {
  const first = await ask(FIRST);
  const load = app.loadGraphData;
  app.loadGraphData = function (workflow, ...rest) {
    return load.call(this, workflow ?? structuredClone(first), ...rest);
  };
}

app.registerExtension({
  name: "limner",
  commands: [{ id: "limner.save", label: "Export as Limner graph", icon: "pi pi-download", function: () => saveGraph(app).catch(complain) }],
  menuCommands: [{ path: ["File"], commands: ["limner.save"] }],
  async init() {
    openFilesOfOurs();
    await beginWithOurs().catch(complain);
  },
  afterConfigureGraph: () => paint().catch(complain),
  setup() {
    countAllNodes(app, complain);
    const panel = new Panel(app);
    app.extensionManager.registerSidebarTab({
      id: "limner", icon: "pi pi-server", title: "Limner", tooltip: "Limner: memory, plan, timeline", type: "custom",
      render: (place) => panel.show(place),
      destroy: () => panel.hide(),
    });
  },
});
