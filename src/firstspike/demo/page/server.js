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

export function complain(error) {
  fault.textContent = error.message;
  fault.hidden = false;
}

/** Run a task for the visitor: an old complaint goes, a new one is shown. */
export async function attempt(task) {
  try {
    const result = await task();
    fault.hidden = true;
    return result;
  } catch (error) {
    complain(error);
    return undefined;
  }
}
