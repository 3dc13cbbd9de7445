/** Nodes that take several pictures: files that are chosen, or dropped on the node, are brought to the server. */

const TYPES = "image/png,image/jpeg,image/webp";

const lists = new Map(); // by class, the setting that lists pictures

/** Note which setting of a class lists pictures, as the server tells of it. */
export function noteLists({ name, input }) {
  const [list] = Object.entries(input?.required ?? {}).find(([, [, options]]) => options?.picture_list) ?? [];
  if (list) lists.set(name, list);
}

/** Give a node a button for it, where one of its settings lists pictures. */
export function takePictures(node, api, complain) {
  const name = lists.get(node.comfyClass);
  if (!name) return;
  const take = (files) => bring(node, name, files, api).catch(complain);
  const button = node.addWidget("button", "choose files to upload", "", () => choose(take), { serialize: false });
  button.serialize = false;
  node.onDragOver = ({ dataTransfer }) => [...(dataTransfer?.items ?? [])].some(({ kind }) => kind === "file");
  node.onDragDrop = ({ dataTransfer }) => {
    const files = [...dataTransfer.files].filter(({ type }) => TYPES.includes(type));
    if (files.length) take(files);
    return files.length > 0;
  };
}

function choose(take) {
  const input = Object.assign(document.createElement("input"), { type: "file", accept: TYPES, multiple: true });
  input.onchange = () => take([...input.files]);
  input.click();
}

/** Add them to the list, one a line, in their order. */
async function bring(node, name, files, api) {
  const widget = node.widgets.find((one) => one.name === name);
  for (const file of files) {
    const body = new FormData();
    body.append("image", file);
    const answer = await api.fetchApi("/upload/image", { method: "POST", body });
    const said = await answer.json();
    if (!answer.ok) throw new Error(`${file.name}: ${said.detail}`);
    widget.value = [...widget.value.split("\n").filter(Boolean), said.name].join("\n");
    widget.callback?.(widget.value);
  }
  node.setDirtyCanvas(true, true);
}
