// Tabs after the ARIA pattern: arrow keys move along, Home and End jump, one tab stop for all.

/**
 * @param {HTMLElement} list  the element with role="tablist"
 * @returns {(name: string) => void} opens the tab whose panel is `panel-<name>`
 */
export function tabs(list) {
  const all = [...list.querySelectorAll('[role=tab]')].filter((tab) => tab instanceof HTMLButtonElement);
  const visible = () => all.filter((tab) => tab.offsetParent !== null);

  const open = (/** @type {HTMLButtonElement} */ chosen) => {
    for (const tab of all) {
      const selected = tab === chosen;
      tab.setAttribute('aria-selected', String(selected));
      tab.tabIndex = selected ? 0 : -1;
      document.getElementById(tab.getAttribute('aria-controls') ?? '')?.classList.toggle('open', selected);
    }
  };

  for (const tab of all) tab.addEventListener('click', () => open(tab));
  list.addEventListener('keydown', (event) => {
    const reachable = visible();
    const at = reachable.findIndex((tab) => tab === document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: reachable.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const tab = reachable[(to + reachable.length) % reachable.length];
    if (!tab) return;
    open(tab);
    tab.focus();
  });

  return (name) => {
    const tab = all.find((one) => one.getAttribute('aria-controls') === `panel-${name}`);
    if (tab) open(tab);
  };
}
