/** Pictures that are dropped: on a field they are brought to it, anywhere else their form opens. */

import { postFile } from "./api.js";
import { announce, byId, guarded } from "./dom.js";
import { bring } from "./upload.js";

export function listenForDrops(form) {
  const overlay = byId("drop");
  let depth = 0;
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const show = (event) => (overlay.hidden = depth <= 0 || Boolean(fieldAt(form, event.target)));
  addEventListener("dragenter", (event) => hasFiles(event) && ((depth += 1), show(event)));
  addEventListener("dragleave", (event) => hasFiles(event) && ((depth -= 1), show(event)));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    [depth, overlay.hidden] = [0, true];
    const field = fieldAt(form, event.target);
    if (field) bring([...event.dataTransfer.files], field.take);
    else open(event.dataTransfer.files[0]);
  });
  const open = guarded((file) => openPicture(form, file));
  const input = byId("open-picture");
  input.addEventListener("change", async () => {
    if (input.files.length) await open(input.files[0]);
    input.value = "";
  });
}

/** The form of the graph that a picture carries. */
async function openPicture(form, file) {
  const { graph } = await postFile("/v1/form/picture", file);
  await form.open({ graph, name: `From ${file.name}` });
  announce("The form of the picture is open.");
}

/** The field that takes pictures and under which something is dropped. */
function fieldAt(form, target) {
  return form.fields.find((field) => field.take && target instanceof Node && field.element.contains(target));
}
