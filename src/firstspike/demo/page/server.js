// What the page asks the server for; what goes wrong is told in one line at the top of the page.

export async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", body };
  let response;
  try {
    response = await fetch(`/api/${path}`, options);
  } catch {
    throw new Error("The demo does not answer. Is it still running in its terminal?");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

const fault = document.getElementById("fault");
const faults = new Map(); // by part of the page: what works in one hides nothing of another

function tell(part, message) {
  if (message) faults.set(part, message);
  else faults.delete(part);
  fault.textContent = [...new Set(faults.values())].join(" ");
  fault.hidden = !faults.size;
}

export const complain = (error, part) => tell(part, error.message);

/** Run a task for the visitor: an old complaint of this part goes, a new one is shown. */
export async function attempt(task, part) {
  try {
    const result = await task();
    tell(part);
    return result;
  } catch (error) {
    complain(error, part);
    return undefined;
  }
}
