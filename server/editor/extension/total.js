/** How much of a job is done, also where the page was loaded again meanwhile: the editor knows the nodes of those jobs
 * only that it queued since, so that it would take the part that it hears of for the whole.
 */

import { get } from "/page/api.js";

/** The editor's own jobs, by their ids; none where another version keeps them elsewhere. */
function jobsOf(app) {
  return app.extensionManager._p?._s.get("execution")?.queuedJobs ?? {};
}

/** Let the editor know all nodes of a job that it did not queue: those that it heard of are done. */
async function countNodes(app, id) {
  const known = Object.values(jobsOf(app)[id]?.nodes ?? {});
  if (known.includes(false)) return;
  const { workflow } = await get(`/api/jobs/${encodeURIComponent(id)}`);
  const counted = jobsOf(app)[id]?.nodes ?? {};
  for (const node of Object.keys(workflow.prompt)) counted[node] ??= false;
}

/** Do so for jobs that go on, and for those that begin without it. */
export function countAllNodes(app, complain) {
  const count = (id) => countNodes(app, id).catch(complain);
  app.api.addEventListener("execution_start", ({ detail }) => count(detail.prompt_id));
  Object.keys(jobsOf(app)).forEach(count);
}
