// Keys: a group of buttons is one stop of the Tab key, and arrow keys move inside it.

/** Make the first button of a group the one that Tab reaches. */
export function oneTabStop(group) {
  [...group.children].forEach((button, k) => (button.tabIndex = k ? -1 : 0));
}

/** Let Tab come back to the button of a group that has the focus, also after a click. */
export function stopHere(event) {
  for (const button of event.currentTarget.children) button.tabIndex = button === event.target ? 0 : -1;
}

/** On a key in a group: move to another button. */
export function arrows(event) {
  const buttons = [...event.currentTarget.children];
  const place = buttons.indexOf(event.target);
  const row = buttons.filter((button) => button.offsetTop === buttons[0].offsetTop).length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row, Home: -place };
  const step = event.key === "End" ? buttons.length - 1 - place : steps[event.key];
  const next = buttons[place + step];
  if (place < 0 || !next) return;
  event.preventDefault();
  next.focus();
}
