/** What Limner adds to the editor: its files and pictures, the colours of its wires, its words for what is wrong, a panel, and logging in. */

import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { get } from "/page/api.js";
import { describeCards } from "./cards.js";
import { openOurs, saveGraph } from "./files.js";
import { logInWhereWanted } from "./login.js";
import { sayFaults } from "./notices.js";
import { Panel } from "./panel.js";
import { noteLists, takePictures } from "./pictures.js";
import { countAllNodes } from "./total.js";
import { Wires } from "./wires.js";

const FIRST = "/templates/text_to_image.json";

logInWhereWanted(api);
sayFaults(app, api);
document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("panel.css", import.meta.url).href }));
const wires = new Wires(app);
const panel = new Panel(app, api, complain);

function complain(error) {
  const said = error.faults?.map(({ message, hint }) => (hint ? `${message} (${hint})` : message)) ?? [];
  app.extensionManager.toast.add({ severity: "error", summary: "Limner", detail: said.join("\n") || error.message, life: 10_000 });
}

/** A file of ours opens its graph; whatever else is the editor's own business. */
function openFilesOfOurs() {
  const others = app.handleFile;
  app.handleFile = async function (file, ...rest) {
    let left;
    try {
      left = await openOurs(app, file);
    } catch (error) {
      return complain(error);
    }
    return left ? others.call(this, left, ...rest) : undefined;
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
    await wires.paint().catch(complain);
  },
  setup() {
    wires.watch();
    describeCards().catch(complain);
    countAllNodes(app, complain);
    app.extensionManager.registerSidebarTab({
      id: "limner", icon: "pi pi-server", title: "Limner", tooltip: "Limner: memory, plan, timeline", type: "custom",
      render: (place) => panel.show(place),
      destroy: () => panel.hide(),
    });
  },
});
