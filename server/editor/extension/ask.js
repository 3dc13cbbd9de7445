/** Asking the server. */

async function answered(answer) {
  const said = await answer.json();
  if (answer.ok) return said;
  const faults = said.faults?.map(({ message, hint }) => (hint ? `${message} (${hint})` : message)) ?? [];
  throw Object.assign(new Error(faults.join("\n") || said.detail), { status: answer.status });
}

/** What a route answers: to a GET, or with a body to a POST. */
export async function ask(path, body) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return answered(await fetch(path, body === undefined ? {} : options));
}

/** The same for a file as it is. */
export async function sendFile(path, file) {
  const options = { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file };
  return answered(await fetch(path, options));
}
