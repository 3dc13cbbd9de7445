/** Who is here. A token is asked for where the server wants one, and given to it once: it becomes a cookie. */

import { get, post } from "./api.js";
import { byId } from "./dom.js";

/** Who asks. Waits until that is known, and says `lost()` while the server cannot be reached. */
export async function whoAmI(lost) {
  for (let failures = 0; ; failures += 1) {
    try {
      return await get("/v1/session");
    } catch (error) {
      if (error.status === 401) return askForToken();
      lost(error);
      await new Promise((resolve) => setTimeout(resolve, Math.min(10_000, 500 * 2 ** failures)));
    }
  }
}

let asking = null;

/** Ask for a token until one is right. */
export function askForToken() {
  asking ??= ask().finally(() => (asking = null));
  return asking;
}

function ask() {
  const dialog = byId("login");
  const [form, input, fault] = [dialog.querySelector("form"), byId("token"), byId("token-fault")];
  return new Promise((resolve) => {
    dialog.oncancel = (event) => event.preventDefault();
    form.onsubmit = async (event) => {
      event.preventDefault();
      fault.hidden = true;
      try {
        const session = await post("/v1/session", { token: input.value });
        input.value = "";
        dialog.close();
        resolve(session);
      } catch (error) {
        fault.textContent = error.status === 401 ? "No client has this token." : error.message;
        fault.hidden = false;
        input.select();
      }
    };
    dialog.showModal();
  });
}

export async function logOut() {
  await post("/v1/session/end");
  location.reload();
}
