/** Bringing pictures: chosen with a button, or dropped. */

import { postFile } from "./api.js";
import { complain, el } from "./dom.js";

const THUMB = 96;

/** A button that takes pictures to the server; `take` is given `{file, picture}` of each. */
export function pictureButton(label, areMany, take) {
  const input = el("input", {
    type: "file",
    className: "hidden",
    accept: "image/png,image/jpeg,image/webp",
    multiple: areMany,
    onchange: async () => {
      await bring([...input.files], take);
      input.value = "";
    },
  });
  input.setAttribute("aria-label", `${label}: choose ${areMany ? "pictures" : "a picture"}`);
  return el("label", { className: "button quiet" }, areMany ? "Add pictures" : "Choose", input);
}

export async function bring(files, take) {
  try {
    const taken = [];
    for (const file of files) {
      const { file: path } = await postFile("/v1/uploads", file);
      taken.push({ file: path, picture: await thumb(file) });
    }
    if (taken.length) take(taken);
  } catch (error) {
    complain(error);
  }
}

async function thumb(file) {
  try {
    return await createImageBitmap(file, { resizeHeight: THUMB, resizeQuality: "medium" });
  } catch {
    return null; // the server took it, and that is what counts
  }
}
