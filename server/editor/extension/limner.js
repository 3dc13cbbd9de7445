/** What Limner adds to the editor: its files and pictures, the colours of its wires, a panel, and logging in. */

import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { get } from "/page/api.js";
import { openOurs, saveGraph } from "./files.js";
import { logInWhereWanted } from "./login.js";
import { Panel } from "./panel.js";
import { noteLists, takePictures } from "./pictures.js";
import { countAllNodes } from "./total.js";

const FIRST = "/templates/text_to_image.json";

logInWhereWanted(api);
document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("panel.css", import.meta.url).href }));
const paintings = get("/v1/editor/colors").then(({ colors }) => colors);
const panel = new Panel(app, api, complain);

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
  const said = error.faults?.map(({ message, hint }) => (hint ? `${message} (${hint})` : message)) ?? [];
  app.extensionManager.toast.add({ severity: "error", summary: "Limner", detail: said.join("\n") || error.message, life: 10_000 });
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
  const first = await get(FIRST);
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
  beforeRegisterNodeDef: (nodeClass, told) => noteLists(told),
  nodeCreated: (node) => takePictures(node, api, complain),
  async afterConfigureGraph() {
    panel.opened();
    await paint().catch(complain);
  },
  setup() {
    countAllNodes(app, complain);
    app.extensionManager.registerSidebarTab({
      id: "limner", icon: "pi pi-server", title: "Limner", tooltip: "Limner: memory, plan, timeline", type: "custom",
      render: (place) => panel.show(place),
      destroy: () => panel.hide(),
    });
  },
});
